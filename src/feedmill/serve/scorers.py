"""Pre-rank and rank: what says how good a candidate is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, Rows, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.features.served.named import Named

Encoder = Callable[[UserColumns], Floats]  # -> float32[R, D]


class HeadsGraph(Protocol):
    """An exported model: ``features.served.graph.Graph``, ``features.served.late_fusion.LateFusionGraph``."""

    heads: tuple[str, ...]

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H] probabilities."""
        ...


class VectorScorer:
    """Pre-rank by user vector · item vector; NaN for items newer than the vectors.

    Candidates of a user without a vector (zero: matrix completion has not met them) keep their order.

    Args:
        item_vectors: float32[N, D] of a retrieval channel; both stages share one model, as late-fused towers do.
        encode: user columns -> float32[R, D].
        is_l2: by the negated squared distance instead.
    """

    heads: tuple[str, ...] = ("prerank",)

    def __init__(self, item_vectors: Floats, encode: Encoder, *, is_l2: bool = False) -> None:
        self._items, self._encode, self._is_l2 = item_vectors, encode, is_l2

    def score(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Floats:
        """float32[C, 1]."""
        known = candidates.item < len(self._items)
        scores = np.full((len(candidates), 1), np.nan, np.float32)
        vector, items = self._encode(user)[0], self._items[candidates.item[known]]
        if not vector.any():
            scores[known, 0] = -np.flatnonzero(known)
        else:
            scores[known, 0] = -np.square(items - vector).sum(axis=1) if self._is_l2 else items @ vector
        return scores


class Remembered:
    """An encoder that answers for the same user columns once: retrieval and pre-rank ask for the same vector."""

    def __init__(self, encode: Encoder) -> None:
        self._encode = encode
        self._last = threading.local()

    def __call__(self, user: UserColumns) -> Floats:
        """float32[R, D]; each thread works on one request at a time, so each remembers one."""
        if getattr(self._last, "user", None) is not user:
            self._last.vector = self._encode(user)
            self._last.user = user
        vector: Floats = self._last.vector
        return vector


class RankGraph(HeadsGraph, Protocol):
    """A ranker's, which also says what it reads."""

    def read(self, user: UserColumns, items: Rows) -> Named:
        """Of the same candidates, by feature name."""
        ...


class GraphScorer:
    """Rank or pre-rank with an exported model: one column per head."""

    def __init__(self, graph: HeadsGraph) -> None:
        self._graph = graph
        self.heads = graph.heads

    def score(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Floats:
        """float32[C, H]."""
        return self._graph.score(user, candidates.item)


class RankScorer(GraphScorer):
    """Rank, with what it reads for those who watch over it."""

    def __init__(self, graph: RankGraph) -> None:
        super().__init__(graph)
        self._rank = graph

    def read(self, user: UserColumns, items: Rows) -> Named:
        """The features of item rows int32[C] for one user (R = 1)."""
        return self._rank.read(user, items)
