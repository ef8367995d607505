"""What each person has just seen, and how much of it another video would be a repetition of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows, Times
from feedmill.sim.feeds.fast.descriptions import N_TOPICS, NONE, NOTHING, grown
from feedmill.sim.feeds.fast.effects import Labels

LENGTH = 16  # videos that are remembered of each person
KEEP = 0.85  # of a topic's weight, after a further video
REST_MS = 3 * 3_600_000.0  # in which a repetition counts for half


class Recents(NamedTuple):
    """Rings of the last videos of N people; entry j of a person stands at j modulo ``LENGTH``."""

    item: Rows  # int32[room, LENGTH]
    time_ms: Times  # int64[room, LENGTH]
    n: Rows  # int32[room]

    @staticmethod
    def none() -> Recents:
        """Of nobody."""
        return Recents(np.zeros((0, LENGTH), np.int32), np.zeros((0, LENGTH), np.int64), np.zeros(0, np.int32))

    def grown(self, n: int) -> Recents:
        """With room for n people."""
        return Recents(grown(self.item, n), grown(self.time_ms, n), grown(self.n, n))


@njit(cache=True, nogil=True)
def weights(recents: Recents, user: int, time_ms: int, labels: Labels, author: Rows, topics: Floats,
            authors: Floats) -> None:  # fmt: skip
    """What one person has had enough of.

    Args:
        topics: float32[C] becomes the decayed share of each topic among the last videos.
        authors: float32[LENGTH, 2] becomes author and weight of each of the last videos.
    """
    topics[:] = 0
    n, share = recents.n[user], np.float32(1 - KEEP)
    for back in range(LENGTH):
        authors[back, 0], authors[back, 1] = NONE, 0
        if back >= n:
            continue
        at = (n - 1 - back) % LENGTH
        item = recents.item[user, at]
        rested = np.float32(0.5 ** (max(0, time_ms - recents.time_ms[user, at]) / REST_MS))
        for k in range(N_TOPICS):
            topics[labels.of[item, k]] += share * rested * labels.topic_weight[item]
        share *= np.float32(KEEP)
        authors[back, 0], authors[back, 1] = author[item], rested
    topics[NOTHING] = 0


@njit(cache=True, nogil=True)
def repetition(topics: Floats, authors: Floats, item: int, labels: Labels, author: Rows) -> tuple[Any, Any]:
    """How much of one more video's topics, and of its author, there was of late."""
    same_topic, same_author = np.float32(0), np.float32(0)
    for k in range(N_TOPICS):
        same_topic += topics[labels.of[item, k]] * labels.topic_weight[item]
    if author[item] != NONE:
        for back in range(LENGTH):
            if authors[back, 0] == author[item]:
                same_author += authors[back, 1]
    return same_topic, same_author


@njit(cache=True, nogil=True)
def see(recents: Recents, user: Rows, item: Rows, time_ms: Times, labels: Labels, author: Rows, n_labels: int,
        repeats: Floats) -> None:  # fmt: skip
    """Remember views in order; ``repeats`` float32[n, 2] becomes what each of them repeated."""
    topics, authors = np.empty(n_labels, np.float32), np.empty((LENGTH, 2), np.float32)
    for t in range(len(user)):
        u = user[t]
        weights(recents, u, time_ms[t], labels, author, topics, authors)
        repeats[t, 0], repeats[t, 1] = repetition(topics, authors, item[t], labels, author)
        at = recents.n[u] % LENGTH
        recents.item[u, at], recents.time_ms[u, at] = item[t], time_ms[t]
        recents.n[u] += 1
