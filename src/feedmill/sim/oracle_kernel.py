"""The slates of somebody who knows: greedily the video of most expected seconds, all of the catalogue looked at.

Affinities of many asks come from one matrix product; E[W] of every video is read off a table in (tired affinity, ln
duration) between whose points it is linear. The best few hundred are then placed slot by slot, each as tired as the
slots before it make a person of its topic and its author, and of watching.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows, Times
from feedmill.sim.watch import WEIGHTS, Memory, Truth, means_s

LOWEST, HIGHEST, STEPS = -8.0, 8.0, 256  # affinities of the table; beyond them as at the edge
N_DURATIONS = 128
N_PLACED = 256  # videos that are placed slot by slot
N_BINS = 1024  # in which the best of all are looked for
BLOCK = 256  # asks in a matrix product
CLOCK_MS = 600_000  # the ages of videos are taken to be those in the middle of so long
_HALF = np.log(0.5)
_FRESH, _LANGUAGE, _CITY, _FOLLOWED, _TOPIC, _MEMORY, _HOURS, _AUTHOR, _SEEN, _FATIGUE = range(len(WEIGHTS) - 1)


class Table(NamedTuple):
    """E[W]: ``seconds[k, j]`` at affinity ``LOWEST + j · 16 / STEPS`` of a video of the k-th duration."""

    seconds: Floats  # float32[N_DURATIONS, STEPS + 1]
    low: float  # ln seconds of the first row
    step: float  # ln seconds between rows


class Shelf(NamedTuple):
    """The C videos that are on today, as the kernel wants them."""

    item: Rows  # int32[C] world rows
    row: Rows  # int32[C] of the table
    part: Floats  # float32[C] the way to the next row
    vector: Floats  # float32[C, D]
    topics: Floats  # float32[C, T]


class _Look(NamedTuple):
    affinity: Floats  # float32[C] tired
    seconds: Floats  # float32[C] E[W]
    tired: Floats  # float32[T] of topics: is in the affinity already
    more: float  # tiredness of one more video


def make_table(curve: Any, shortest_s: float, longest_s: float) -> Table:
    """The expectation for durations within these bounds."""
    low, high = np.log(shortest_s), max(np.log(longest_s), np.log(shortest_s) + 1e-3)
    duration_s = np.exp(np.linspace(low, high, N_DURATIONS))
    affinity = np.linspace(LOWEST, HIGHEST, STEPS + 1)
    grid = means_s(curve, np.tile(affinity, N_DURATIONS), np.repeat(duration_s, STEPS + 1))
    return Table(grid.reshape(N_DURATIONS, STEPS + 1), float(low), float((high - low) / (N_DURATIONS - 1)))


class Oracle:
    """Knows today's truth.

    Args:
        truth: of the day; ``is_on`` must not change under it.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        on = np.flatnonzero(truth.is_on).astype(np.int32)
        duration_s = np.minimum(truth.duration_s[on], truth.curve[4, 3]) if len(on) else np.ones(1)
        self._table = make_table(truth.curve, float(duration_s.min()), float(duration_s.max()))
        place = (np.log(duration_s) - self._table.low) / self._table.step
        row = np.clip(place.astype(np.int32), 0, N_DURATIONS - 2)
        vector = np.ascontiguousarray(truth.vector[on])
        topics = np.ascontiguousarray(vector[:, : truth.n_topics])
        self._shelf = Shelf(on, row, (place - row).astype(np.float32), vector, topics)

    def expected(self, memory: Memory, user: Rows, time_ms: Times, page: Rows) -> Floats:
        """float32[B, C] seconds to be expected of each video that is on, in order of row, if it came next."""
        out = np.empty((len(user), len(self._shelf.item)), np.float32)
        for b, look in enumerate(self._looks(memory, user, time_ms, page)):
            out[b] = look.seconds
        return out

    def slates(self, memory: Memory, user: Rows, time_ms: Times, page: Rows, k: int) -> Rows:
        """int32[B, k] world rows of different videos, -1 where there are not so many."""
        out = np.full((len(user), k), -1, np.int32)
        for b, look in enumerate(self._looks(memory, user, time_ms, page)):
            best = _best(look.seconds, N_PLACED)
            _place(self._truth, self._table, self._shelf, look.affinity, best, look.tired, look.more, out[b])
        return out

    def _looks(self, memory: Memory, user: Rows, time_ms: Times, page: Rows) -> Iterator[_Look]:
        """What each ask is like, in turn; the arrays are used again for the next."""
        if not len(self._shelf.item):
            return
        for start in range(0, len(user), BLOCK):
            some = slice(start, start + BLOCK)
            yield from self._block(memory, user[some], time_ms[some], page[some])

    def _block(self, memory: Memory, user: Rows, time_ms: Times, page: Rows) -> Iterator[_Look]:
        truth, shelf, weights = self._truth, self._shelf, self._truth.weights
        rested = np.exp(_HALF * np.maximum(time_ms - memory.last_ms[user], 0) / (weights[_HOURS] * 3.6e6))
        tired = (weights[_TOPIC] * rested[:, None] * memory.topics[user]).astype(np.float32)
        wish = truth.taste[user].copy()
        wish[:, : truth.n_topics] -= tired
        dots = wish @ shelf.vector.T
        more = weights[_FATIGUE] / truth.stay[user]
        session = more * np.where(page == 0, 0, memory.in_session[user])
        affinity, seconds = np.empty((2, len(shelf.item)), np.float32)
        for b in range(len(user)):
            if b == 0 or time_ms[b] // CLOCK_MS != time_ms[b - 1] // CLOCK_MS:
                worth = self._worth(int(time_ms[b]) // CLOCK_MS)
            _every(truth, memory, self._table, shelf, user[b], time_ms[b], worth, dots[b], session[b],
                   affinity, seconds)  # fmt: skip
            yield _Look(affinity, seconds, tired[b], float(more[b]))

    def _worth(self, clock: int) -> Floats:
        """float32[C] what everybody likes about each video at a time of the clock."""
        truth, on = self._truth, self._shelf.item
        age_ms = np.maximum(clock * CLOCK_MS + CLOCK_MS // 2 - truth.born_ms[on], 0)
        charm = truth.weights[_FRESH] * np.exp(_HALF * age_ms / truth.fresh_ms[on])
        worth: Floats = (truth.quality[on] + charm).astype(np.float32)
        return worth


@njit(cache=True, nogil=True, inline="always")
def _read(table: Any, a: Any, at: Any, part: Any) -> Any:
    """E[W] at affinity a, between the rows ``at`` and ``at + 1``."""
    z = min(
        max((a - np.float32(LOWEST)) * np.float32(STEPS / (HIGHEST - LOWEST)), np.float32(0)), np.float32(STEPS - 0.01)
    )
    j = np.int32(z)
    f = z - np.float32(j)
    s = table.seconds
    below = s[at, j] + f * (s[at, j + 1] - s[at, j])
    above = s[at + 1, j] + f * (s[at + 1, j + 1] - s[at + 1, j])
    return below + part * (above - below)


@njit(cache=True, nogil=True)
def _every(truth: Any, memory: Any, table: Any, shelf: Any, u: Any, time_ms: Any, base: Any, dots: Any, shift: Any,
           affinity: Any, seconds: Any) -> Any:  # fmt: skip
    """Fill the tired affinity of person u to every video on the shelf, and E[W]."""
    w, off = truth.weights, np.float32(shift)
    other, same, seen = np.float32(w[_LANGUAGE]), np.float32(w[_CITY]), np.float32(w[_SEEN])
    language, city = truth.language[u], truth.city[u]
    for c in range(len(shelf.item)):
        i = shelf.item[c]
        x = dots[c] + base[c] - off
        x -= other if truth.video_language[i] != language else np.float32(0)
        x += same if truth.video_city[i] == city else np.float32(0)
        affinity[c] = x - (seen if memory.seen[u, i >> 3] >> (i & 7) & 1 else np.float32(0))
    if memory.n_views[u]:
        _by_author(truth, memory, shelf, u, time_ms, affinity)
    for c in range(len(shelf.item)):
        seconds[c] = _read(table, affinity[c], shelf.row[c], shelf.part[c])


@njit(cache=True, nogil=True)
def _by_author(truth: Any, memory: Any, shelf: Any, u: Any, time_ms: Any, affinity: Any) -> Any:
    """What following an author adds, and what having just seen one takes off."""
    w = truth.weights
    rested = np.exp(_HALF * max(0.0, np.float64(time_ms - memory.last_ms[u])) / (w[_HOURS] * 3.6e6))
    size = memory.followed.shape[1]
    for c in range(len(shelf.item)):
        author = truth.author[shelf.item[c]]
        follows, n = False, 0
        for k in range(size):
            follows |= memory.followed[u, k] == author
            n += memory.authors[u, k] == author
        if follows or n:
            affinity[c] += (w[_FOLLOWED] if follows else 0.0) - w[_AUTHOR] * n * rested


@njit(cache=True, nogil=True)
def _best(seconds: Any, n: Any) -> Any:
    """int32: places of the n largest or some more, not in order; all of them where there are not so many."""
    size = len(seconds)
    if size <= n:
        return np.arange(size).astype(np.int32)
    low, high = seconds.min(), seconds.max()
    scale, count = np.float32((N_BINS - 1) / max(high - low, np.float32(1e-20))), np.zeros(N_BINS, np.int32)
    for c in range(size):
        count[np.int32((seconds[c] - low) * scale)] += 1
    bin_, n_above = N_BINS - 1, count[N_BINS - 1]
    while n_above < n:
        bin_ -= 1
        n_above += count[bin_]
    out, k = np.empty(n_above, np.int32), 0
    for c in range(size):
        if np.int32((seconds[c] - low) * scale) >= bin_:
            out[k] = c
            k += 1
    return out


@njit(cache=True, nogil=True)
def _place(truth: Any, table: Any, shelf: Any, affinity: Any, best: Any, tired: Any, fatigue: Any, out: Any) -> Any:
    """Fill ``out`` from the candidates ``best``, whose affinity has the topics' tiredness in it already."""
    w, n = truth.weights, len(best)
    topics = shelf.topics[best]
    before = np.dot(topics, tired)
    now, by_author, is_in = before.copy(), np.zeros(n, np.float32), np.zeros(n, np.bool_)
    keep, new = np.float32(w[_MEMORY]), np.float32(w[_TOPIC] * (1.0 - w[_MEMORY]))
    for slot in range(min(len(out), n)):
        top, most = -1, np.float32(-1)
        for c in range(n):
            if not is_in[c]:
                j = best[c]
                x = np.float32(affinity[j] + before[c] - now[c] - by_author[c] - fatigue * slot)
                value = _read(table, x, shelf.row[j], shelf.part[j])
                if value > most:
                    top, most = c, value
        is_in[top] = True
        i = shelf.item[best[top]]
        out[slot] = i
        now = now * keep + new * np.dot(topics, topics[top])
        for c in range(n):
            by_author[c] += np.float32(w[_AUTHOR]) * (truth.author[shelf.item[best[c]]] == truth.author[i])
