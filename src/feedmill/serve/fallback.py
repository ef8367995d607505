"""Popularity straight from the state's counters: what there is to show without any trained artifact."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, Rows, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.state import State

# What one event weighs; of watching, what one second does.
POSITIVE = dict.fromkeys(("click", "like", "favourite", "share", "comment", "follow", "finish"), 1.0) | {
    "watch": 1 / 30
}
_STALE = 0.01  # share of the log by which it may grow before the order is made anew


class _Order(NamedTuple):
    offset: int
    items: Rows
    scores: Floats


class Popularity:
    """Every item, those with the most positive feedback first; items nobody has met yet come last.

    Counts are of the longest window the state keeps of each kind; equal ones are ordered by item row.
    """

    name = "popularity"

    def __init__(self, state: State) -> None:
        self._state = state
        self._order: _Order | None = None
        self._making = threading.Lock()

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The top ``limit`` of the whole catalogue."""
        with self._making:
            if self._order is None or self._state.offset > self._order.offset * (1 + _STALE):
                self._order = self._count(user)
            order = self._order
        return CandidateBatch.of(self.name, order.items[:limit], order.scores[:limit])

    def _count(self, user: UserColumns) -> _Order:
        items = np.arange(1, len(self._state.items), dtype=np.int32)
        probed = self._state.probe(user, items)
        longest = {name.partition(".")[0]: i for i, name in enumerate(probed.count_names)}
        scores = np.zeros(len(items))
        for kind, weight in POSITIVE.items():
            if kind in longest:
                scores += weight * probed.item_counts[:, longest[kind]]
        best = np.lexsort((items, -scores))
        return _Order(self._state.offset, items[best], scores[best].astype(np.float32))
