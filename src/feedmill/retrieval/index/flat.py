"""Every item is compared with the query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from feedmill.core.batches import Floats, Mask
from feedmill.core.config import Config
from feedmill.retrieval.index.finder import Sections, selector
from feedmill.retrieval.index.metric import Metric, Places, scores_at, top

_AT_ONCE = 16  # from 20 queries on faiss multiplies matrices, and equal vectors no longer have equal scores


class FlatConfig(Config, frozen=True, kw_only=True):
    """No parameters."""


class Flat:
    """Exact, nothing to learn or store, and below about 200 k items of 64 numbers still a few milliseconds."""

    Config = FlatConfig

    def __init__(self, vectors: Floats, metric: Metric) -> None:
        self.effort = self.max_effort = 1
        self.shape = (len(vectors), vectors.shape[1])
        self._vectors, self._metric = vectors, metric
        self._product: Metric = "l2" if metric == "l2" else "inner_product"  # of prepared vectors

    @classmethod
    def build(cls, vectors: Floats, metric: Metric, config: Any, seed: int) -> Flat:
        """Keeps what it is given."""
        return cls(vectors, metric)

    @classmethod
    def read(cls, sections: Sections, vectors: Callable[[], Floats], metric: Metric, config: Any) -> Flat:
        """Nothing is stored but the vectors."""
        return cls(vectors(), metric)

    def sections(self) -> Sections:
        """None."""
        return {}

    def compared(self, effort: int) -> int:
        """0: comparing one by one would not be cheaper."""
        return 0

    def find(self, queries: Floats, k: int, keep: Mask | None, effort: int) -> Places:
        """int64[R, k] the nearest, of equal ones those that stand first."""
        n, wanted = len(self._vectors), min(k + 1, len(self._vectors))  # one more shows whether the cut is in a tie
        chosen = selector(keep)
        out = np.full((len(queries), k), -1, np.int64)
        for first in range(0, len(queries), _AT_ONCE):
            some = queries[first : first + _AT_ONCE]
            scores, places = self._nearest(some, wanted, chosen)
            out[first : first + len(some), : min(k, n)] = places[:, :k]
            if wanted > k:
                for r in np.flatnonzero((scores[:, k - 1] == scores[:, k]) & (places[:, k] >= 0)):
                    out[first + r] = self._scan(some[r], k, keep)
        return out

    def _nearest(self, queries: Floats, k: int, chosen: Any) -> tuple[Floats, Places]:
        library: Any = faiss
        scores, places = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        queries = np.ascontiguousarray(queries)
        inputs = (library.swig_ptr(queries), library.swig_ptr(self._vectors))
        sizes = (queries.shape[1], len(queries), len(self._vectors), k)
        outputs = (library.swig_ptr(scores), library.swig_ptr(places))
        if self._product == "l2":
            library.knn_L2sqr(*inputs, *sizes, *outputs, None, chosen)
        else:
            library.knn_inner_product(*inputs, *sizes, *outputs, chosen)
        return scores, places

    def _scan(self, query: Floats, k: int, keep: Mask | None) -> Places:
        """Which of several equal items at the cut faiss keeps is its own affair: take those that stand first."""
        at = np.arange(len(self._vectors)) if keep is None else np.flatnonzero(keep)
        scores = scores_at(query, self._vectors, at, self._product)
        return top(at.astype(np.int32), scores, k)[0].astype(np.int64)
