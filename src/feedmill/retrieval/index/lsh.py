"""Signs of random projections: near vectors differ in few bits (Charikar 2002)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import faiss
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask
from feedmill.core.clock import rng
from feedmill.retrieval.index.finder import ApproximateConfig, Sections, of_bytes, selector
from feedmill.retrieval.index.metric import Metric, Places

_BLOCK = 65_536  # vectors hashed at once


class LshConfig(ApproximateConfig, frozen=True, kw_only=True):
    """How many bits, and how many of the nearest codes are compared by their vectors."""

    n_bits: Annotated[int, Meta(ge=8, le=4096, multiple_of=8, description="bits of a code")] = 256
    n_candidates: Annotated[
        int, Meta(ge=1, description="items with the nearest codes whose vectors are compared at first")
    ] = 1000


class Lsh:
    """P(a bit differs) = angle / pi, so the items with the nearest codes are those in nearly the query's direction.

    Codes are small (32 bytes at 256 bits) and all of them are compared, by exclusive or. They know of directions only:
    for l2 the mean is taken off first, and where lengths differ much more candidates are needed (the build sees to
    that). Effort = candidates whose vectors are compared.
    """

    Config = LshConfig

    def __init__(self, index: Any, planes: Floats, centre: Floats, config: LshConfig) -> None:
        self._index, self._planes, self._centre = index, planes, centre
        self.max_effort = max(1, int(index.ntotal))
        self.shape = (int(index.ntotal), len(planes))
        self.effort = min(config.n_candidates, self.max_effort)

    @classmethod
    def build(cls, vectors: Floats, metric: Metric, config: LshConfig, seed: int) -> Lsh:
        """Draw the planes and hash everything."""
        library: Any = faiss
        n, d = vectors.shape
        centre = vectors.mean(0) if metric == "l2" else np.zeros(d, np.float32)
        planes = rng(seed, "lsh").standard_normal((d, config.n_bits)).astype(np.float32)
        index = library.IndexBinaryFlat(config.n_bits)
        for first in range(0, n, _BLOCK):
            index.add(_codes(vectors[first : first + _BLOCK], planes, centre))
        return cls(index, planes, centre, config)

    @classmethod
    def read(cls, sections: Sections, vectors: Callable[[], Floats], metric: Metric, config: LshConfig) -> Lsh:
        """Codes lie in the stored bytes."""
        index = of_bytes(sections["faiss"], is_binary=True)
        return cls(index, sections["planes"], sections["centre"], config)

    def sections(self) -> Sections:
        """The bytes of faiss, and the planes."""
        library: Any = faiss
        return {
            "faiss": library.serialize_index_binary(self._index),
            "planes": self._planes,
            "centre": self._centre,
        }

    def compared(self, effort: int) -> int:
        """The candidates, and the codes, which cost an eighth or less of a vector."""
        return effort + self.max_effort // 8

    def find(self, queries: Floats, k: int, keep: Mask | None, effort: int) -> Places:
        """int64[R, max(k, effort)] by number of differing bits."""
        library: Any = faiss
        chosen = selector(keep)
        parameters = None if chosen is None else library.SearchParameters(sel=chosen)
        codes = _codes(queries, self._planes, self._centre)
        places: Places = self._index.search(codes, min(max(k, effort), self.max_effort), params=parameters)[1]
        return places


def _codes(vectors: Floats, planes: Floats, centre: Floats) -> NDArray[np.uint8]:
    """uint8[n, bits / 8]."""
    return np.packbits((vectors - centre) @ planes > 0, axis=1)
