"""A graph of near neighbours in layers, walked greedily (Malkov and Yashunin 2016, arXiv 1603.09320)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import faiss
from msgspec import Meta

from feedmill.core.batches import Floats, Mask
from feedmill.retrieval.index.finder import ApproximateConfig, Sections, of_bytes, selector, to_bytes
from feedmill.retrieval.index.metric import Metric, Places, faiss_metric

_MOST = 8192  # entries kept on a walk; beyond it, comparing everything is the quicker way


class HnswConfig(ApproximateConfig, frozen=True, kw_only=True):
    """How dense the graph is, and how far a walk looks around."""

    n_links: Annotated[int, Meta(ge=2, le=128, description="links of an item in each layer, M in the paper")] = 16
    ef_build: Annotated[int, Meta(ge=8, le=2048, description="candidates looked at where an item is put in")] = 80
    ef_search: Annotated[int, Meta(ge=1, le=_MOST, description="candidates kept on a search's walk at first")] = 64
    storage: Annotated[
        Literal["flat", "sq8"],
        Meta(description="sq8 keeps a byte per number, an error that exact scores of what was found make good"),
    ] = "sq8"


class Hnsw:
    """Every item is linked to near ones; a search walks from a few far-apart entry points to the query's neighbours.

    Built by one thread: with several, the graph would depend on which was faster. Effort = candidates kept on the walk.
    """

    Config = HnswConfig

    def __init__(self, index: Any, config: HnswConfig) -> None:
        self._index, self._n_links = index, config.n_links
        self._spare = 1.2 if config.storage == "sq8" else 1.0
        self.max_effort = max(1, min(_MOST, int(index.ntotal)))
        self.shape = (int(index.ntotal), int(index.d))
        self.effort = min(config.ef_search, self.max_effort)

    @classmethod
    def build(cls, vectors: Floats, metric: Metric, config: HnswConfig, seed: int) -> Hnsw:
        """Put in one vector after the other."""
        library: Any = faiss
        d, measure = vectors.shape[1], faiss_metric(metric)
        if config.storage == "sq8":
            index = library.IndexHNSWSQ(d, library.ScalarQuantizer.QT_8bit, config.n_links, measure)
        else:
            index = library.IndexHNSWFlat(d, config.n_links, measure)
        index.hnsw.efConstruction = config.ef_build
        index.hnsw.rng = library.RandomGenerator(seed % 2**31)
        n_threads = library.omp_get_max_threads()
        library.omp_set_num_threads(1)
        try:
            index.train(vectors)
            index.add(vectors)
        finally:
            library.omp_set_num_threads(n_threads)
        return cls(index, config)

    @classmethod
    def read(cls, sections: Sections, vectors: Callable[[], Floats], metric: Metric, config: HnswConfig) -> Hnsw:
        """Links and codes lie in the stored bytes."""
        return cls(of_bytes(sections["faiss"]), config)

    def sections(self) -> Sections:
        """The bytes of faiss."""
        return {"faiss": to_bytes(self._index)}

    def compared(self, effort: int) -> int:
        """The links of every candidate on the walk."""
        return 2 * self._n_links * effort

    def find(self, queries: Floats, k: int, keep: Mask | None, effort: int) -> Places:
        """int64[R, m]; the walk passes over what the mask forbids and goes on."""
        library: Any = faiss
        chosen = selector(keep)
        wanted = min(int(k * self._spare), self._index.ntotal)
        parameters = library.SearchParametersHNSW(sel=chosen, efSearch=max(effort, wanted))
        places: Places = self._index.search(queries, wanted, params=parameters)[1]
        return places
