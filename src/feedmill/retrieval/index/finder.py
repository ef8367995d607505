"""What a kind of index adds: a way to name likely neighbours without comparing the query with everything.

Exact scores, masks that leave few, ties, additions and removals are the business of ``held`` and are the same for
every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import faiss
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask
from feedmill.core.config import Config
from feedmill.retrieval.index.metric import Metric, Places

Sections = Mapping[str, NDArray[Any]]


class ApproximateConfig(Config, frozen=True, kw_only=True):
    """What the approximate kinds share."""

    recall: Annotated[
        float,
        Meta(ge=0, lt=1, description="recall@100 against exact, for which a build doubles its effort; 0 = leave it"),
    ] = 0.95


class Finder(Protocol):
    """One kind's structure over n prepared vectors, which it names by position; never changed once it is built.

    Attributes:
        effort: how hard a search tries, in the kind's own unit; a build may raise it.
        max_effort: with so much, nothing more would be found.
        shape: (n, D) of what it holds.
    """

    effort: int
    max_effort: int
    shape: tuple[int, int]

    @classmethod
    def build(cls, vectors: Floats, metric: Metric, config: Any, seed: int) -> Finder:
        """Learn from and hold float32[n, D], n > 0, prepared; the same seed gives the same bytes on any machine."""
        ...

    @classmethod
    def read(cls, sections: Sections, vectors: Callable[[], Floats], metric: Metric, config: Any) -> Finder:
        """What ``sections`` gave, possibly mapped from a file, without copying it.

        Args:
            vectors: gives float32[n, D], prepared, to a kind that keeps none of its own.
        """
        ...

    def sections(self) -> Sections:
        """Arrays to store."""
        ...

    def compared(self, effort: int) -> int:
        """About how many vectors a search of one query looks at."""
        ...

    def find(self, queries: Floats, k: int, keep: Mask | None, effort: int) -> Places:
        """int64[R, m] positions of likely neighbours of float32[R, D], in any order, padded with -1: at least k where
        that many can be found with this effort.

        Args:
            keep: bool[n], which may be named; None = all.
        """
        ...


def selector(keep: Mask | None) -> Any:
    """A mask over positions as faiss takes it; it must live as long as the search."""
    library: Any = faiss
    return None if keep is None else library.IDSelectorBitmap(np.packbits(keep, bitorder="little"))


def to_bytes(index: Any) -> NDArray[np.uint8]:
    """A faiss index as uint8[n]."""
    library: Any = faiss
    data: NDArray[np.uint8] = library.serialize_index(index)
    return data


def of_bytes(data: NDArray[np.uint8], *, is_binary: bool = False) -> Any:
    """The opposite, reading the codes where they lie: pages of a mapped file are shared and come when touched.

    Raises:
        RuntimeError: faiss cannot read it.
    """
    library: Any = faiss
    reader = library.ZeroCopyIOReader(library.swig_ptr(data), data.size)
    index = library.read_index_binary(reader) if is_binary else library.read_index(reader)
    index.referenced_objects = [data, reader]  # the codes must outlive the index
    return index
