"""The whole catalogue by expected seconds for many people, in compiled code: candidates, in the order of ranking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.retrieval.topk import best_first, offer
from feedmill.sim.feeds.kernels import mix, seed_of

BLOCK = 512  # videos that are valued at a time: their sums stay in the nearest cache
SEEN = np.float32(1e6)  # seconds that a video loses for having been seen: it comes after all others
STEP = np.uint64(0x9E3779B97F4A7C15)


class Shelf(NamedTuple):
    """The n videos that are on, side by side. Score of one to seconds: ``level · parabola(score)``."""

    row: Rows  # int32[n] world rows
    vectors: Floats  # float32[P + 1, n]; row P: its bias, with its age
    labels: NDArray[np.uint32]  # [columns, n]
    parabolas: Floats  # float32[3, n]
    level: Floats  # float32[n] freshness and discount, 1 where there are none
    low: float  # bounds of the score
    high: float
    n_topic_columns: int


class People(NamedTuple):
    """Of everybody, by world row, and the tastes of those who ask, by ask."""

    vectors: Floats
    tastes: Floats  # float32[B, labels]
    seen: NDArray[np.uint8]  # [N, room / 8] bits by world rows of videos


@njit(cache=True, nogil=True)
def value_block(first: int, n: int, ask: int, user: int, people: People, shelf: Shelf, topic_weight: Floats,
                score: Floats, seconds: Floats) -> None:  # fmt: skip
    """Score and seconds of n videos from ``first`` on."""
    taste, vector, last = people.tastes[ask], people.vectors[user], first + n
    width = len(vector) - 1
    weight, bias = topic_weight[first:last], shelf.vectors[width, first:last]
    score[:n] = 0
    for k in range(len(shelf.labels)):
        if k == shelf.n_topic_columns:
            score[:n] *= weight
        label = shelf.labels[k, first:last]
        for t in range(n):
            score[t] += taste[label[t]]
    if len(shelf.labels) == shelf.n_topic_columns:
        score[:n] *= weight
    for t in range(n):
        score[t] += bias[t] + vector[width]
    for k in range(width):
        x, factor = vector[k], shelf.vectors[k, first:last]
        for t in range(n):
            score[t] += x * factor[t]
    low, high, level = np.float32(shelf.low), np.float32(shelf.high), shelf.level[first:last]
    constant, by_score, by_square = (
        shelf.parabolas[0, first:last], shelf.parabolas[1, first:last], shelf.parabolas[2, first:last],
    )  # fmt: skip
    for t in range(n):
        s = min(max(score[t], low), high)
        seconds[t] = level[t] * (constant[t] + s * (by_score[t] + s * by_square[t]))


@njit(cache=True, nogil=True)
def candidates(first: int, last: int, user: Rows, people: People, shelf: Shelf, topic_weight: Floats, skip_seen: bool,
               places: Rows, scores: Floats) -> None:  # fmt: skip
    """Asks first..last: ``places`` int32[B, C] on the shelf and ``scores``, best seconds first, what was seen last."""
    n_shelf, score, seconds = len(shelf.row), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    values = np.empty(places.shape[1], np.float32)
    kept = np.empty(n_shelf, np.float32)
    for b in range(first, last):
        n_kept, seen = 0, people.seen[user[b]]
        for start in range(0, n_shelf, BLOCK):
            n = min(BLOCK, n_shelf - start)
            value_block(start, n, b, user[b], people, shelf, topic_weight, score, seconds)
            kept[start : start + n] = score[:n]
            for t in range(n):
                if n_kept == len(values) and seconds[t] <= values[0]:
                    continue
                row = shelf.row[start + t]
                if skip_seen and seen[row >> 3] >> (row & 7) & 1:
                    n_kept = offer(places[b], values, n_kept, start + t, seconds[t] - SEEN)
                else:
                    n_kept = offer(places[b], values, n_kept, start + t, seconds[t])
        best_first(places[b], values, n_kept)
        for c in range(n_kept):
            scores[b, c] = kept[places[b, c]]


@njit(cache=True, nogil=True)
def draw_candidates(seed: int, user: Rows, time_ms: Times, people: People, shelf: Shelf, skip_seen: bool, places: Rows,
                    scores: Floats) -> None:  # fmt: skip
    """The same by chance, while nothing is known."""
    n_shelf = len(shelf.row)
    values, order = np.empty(places.shape[1], np.float32), np.empty(n_shelf, np.int32)
    scores[:] = 0
    for b in range(len(user)):
        state, n_kept, seen = seed_of(seed, user[b], time_ms[b]), 0, people.seen[user[b]]
        for t in range(n_shelf):
            order[t] = t
        for t in range(n_shelf):
            state += STEP
            other = t + int(mix(state) % np.uint64(n_shelf - t))
            order[t], order[other] = order[other], order[t]
            row = shelf.row[order[t]]
            was_seen = skip_seen and seen[row >> 3] >> (row & 7) & 1
            n_kept = offer(places[b], values, n_kept, order[t], -float(t) - (float(SEEN) if was_seen else 0.0))
            if t >= 4 * len(values):
                break
        best_first(places[b], values, n_kept)


@njit(cache=True, nogil=True)
def explore(seed: int, user: Rows, time_ms: Times, pool: Rows, n_choice: int, people: People, shelf: Shelf,
            topic_weight: Floats, slots: Rows, skip_seen: bool, explored: Rows) -> None:  # fmt: skip
    """Of ``n_choice`` videos drawn from the pool (places on the shelf, least shown first, to which the draw leans) the
    one that promises most seconds, for each of the ``slots``."""
    score, seconds = np.empty(1, np.float32), np.empty(1, np.float32)
    for b in range(len(user)):
        state, seen = seed_of(seed, user[b], time_ms[b]), people.seen[user[b]]
        for slot in slots:
            top, most = -1, np.float32(0)
            for _ in range(n_choice):
                state += STEP
                u = np.float64(mix(state) >> np.uint64(11)) * 2.0**-53
                place = pool[int(u * u * len(pool))]
                row = shelf.row[place]
                if (skip_seen and seen[row >> 3] >> (row & 7) & 1) or (explored[b] == row).any():
                    continue
                value_block(place, 1, b, user[b], people, shelf, topic_weight, score, seconds)
                if top < 0 or seconds[0] > most:
                    top, most = row, seconds[0]
            explored[b, slot] = top


@njit(cache=True, nogil=True)
def mark(seen: NDArray[np.uint8], user: Rows, item: Rows) -> None:
    """Set bits."""
    for t in range(len(user)):
        seen[user[t], item[t] >> 3] |= np.uint8(1 << (item[t] & 7))
