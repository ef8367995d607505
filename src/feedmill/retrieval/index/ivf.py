"""Regions of like vectors, of which a search visits the nearest (Sivic and Zisserman 2003; Jégou et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import faiss
import numpy as np
from msgspec import Meta

from feedmill.core.batches import Floats, Mask
from feedmill.retrieval.index.finder import ApproximateConfig, Sections, of_bytes, selector, to_bytes
from feedmill.retrieval.index.metric import Metric, Places, faiss_metric

_POINTS_PER_REGION = 64  # that k-means learns from; more moves the centres little
_FEWEST_PER_REGION = 39  # below which faiss finds the centres badly founded


class IvfConfig(ApproximateConfig, frozen=True, kw_only=True):
    """How finely the space is cut, and how vectors are kept."""

    n_regions: Annotated[int, Meta(ge=0, description="regions; 0 = 4 sqrt(items)")] = 0
    n_probe: Annotated[int, Meta(ge=1, description="regions a search visits at first")] = 16
    storage: Annotated[
        Literal["flat", "sq8"],
        Meta(description="sq8 keeps a byte per number, an error that exact scores of what was found make good"),
    ] = "sq8"


class Ivf:
    """k-means cuts the space into regions, each with a representative vector; a search compares the query with these,
    then with the items of the nearest ``n_probe`` regions. Effort = regions visited; all of them = exact (but for sq8).
    """

    Config = IvfConfig

    def __init__(self, index: Any, config: IvfConfig) -> None:
        self._index = index
        self._spare = 1.2 if config.storage == "sq8" else 1.0
        self.max_effort = int(index.nlist)
        self.shape = (int(index.ntotal), int(index.d))
        self.effort = min(config.n_probe, self.max_effort)

    @classmethod
    def build(cls, vectors: Floats, metric: Metric, config: IvfConfig, seed: int) -> Ivf:
        """Learn the regions from a sample and put every vector into its own."""
        library: Any = faiss
        n, d = vectors.shape
        wanted = config.n_regions or round(4 * n**0.5)
        n_regions = max(1, min(wanted, n // _FEWEST_PER_REGION))
        measure = faiss_metric(metric)
        centres = library.IndexFlatL2(d) if metric == "l2" else library.IndexFlatIP(d)
        if config.storage == "sq8":
            index = library.IndexIVFScalarQuantizer(
                centres, d, n_regions, library.ScalarQuantizer.QT_8bit, measure, False
            )
        else:
            index = library.IndexIVFFlat(centres, d, n_regions, measure)
        index.cp.seed, index.cp.max_points_per_centroid = seed % 2**31, _POINTS_PER_REGION
        index.train(_sample(vectors, n_regions * _POINTS_PER_REGION))
        index.add(vectors)
        return cls(index, config)

    @classmethod
    def read(cls, sections: Sections, vectors: Callable[[], Floats], metric: Metric, config: IvfConfig) -> Ivf:
        """Regions lie in the stored bytes."""
        return cls(of_bytes(sections["faiss"]), config)

    def sections(self) -> Sections:
        """The bytes of faiss."""
        return {"faiss": to_bytes(self._index)}

    def compared(self, effort: int) -> int:
        """The centres, and the items of regions of average size."""
        return int(self.max_effort + effort * self._index.ntotal / self.max_effort)

    def find(self, queries: Floats, k: int, keep: Mask | None, effort: int) -> Places:
        """int64[R, m], a fifth more than k from sq8, whose order is not quite the true one."""
        library: Any = faiss
        chosen = selector(keep)
        parameters = library.SearchParametersIVF(sel=chosen, nprobe=effort)
        wanted = min(int(k * self._spare), self._index.ntotal)
        places: Places = self._index.search(queries, wanted, params=parameters)[1]
        return places


def _sample(vectors: Floats, most: int) -> Floats:
    """Evenly spread rows: items come in order of appearance, so no stretch of them speaks for all."""
    if len(vectors) <= most:
        return vectors
    return np.ascontiguousarray(vectors[np.linspace(0, len(vectors) - 1, most).astype(np.int64)])
