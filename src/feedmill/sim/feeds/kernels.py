"""Slates in compiled code: what is best, then what has not been seen, then what was seen longest ago."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.retrieval.neighbours import add_to, best_sums, empty_sums
from feedmill.sim.views import NOTHING

TRIES = 8  # random draws for each slot before the rest is taken in a row


@njit(cache=True, nogil=True)
def note(user: Rows, item: Rows, rings: Rows, n: Rows) -> None:
    """Append to rings of each person."""
    for v in range(len(user)):
        u = user[v]
        rings[u, n[u] % rings.shape[1]] = item[v]
        n[u] += 1


@njit(cache=True, nogil=True)
def mix(z: np.uint64) -> np.uint64:
    """The finalizer of splitmix64 (Steele et al. 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def seed_of(seed: int, user: int, time_ms: int) -> np.uint64:
    """Chance for one ask, whoever else asks with it."""
    return mix(mix(mix(np.uint64(seed)) ^ np.uint64(user)) ^ np.uint64(time_ms))


@njit(cache=True, nogil=True)
def mark(stamp: Rows, ring: Rows, n: int, value: int) -> None:
    """Stamp what a person has seen."""
    for p in range(min(n, len(ring))):
        if ring[p] < len(stamp):
            stamp[ring[p]] = value


@njit(cache=True, nogil=True)
def unseen(order: Rows, start: int, stamp: Rows, value: int, slate: Rows, k: int) -> int:
    """Fill a slate up from ``order``, which begins at ``start`` and goes round, with what does not bear the stamp.

    Returns:
        how many slots are filled now.
    """
    for p in range(len(order)):
        if k == len(slate):
            break
        row = order[(start + p) % len(order)]
        if abs(stamp[row]) != value:
            slate[k] = row
            stamp[row] = -value
            k += 1
    return k


@njit(cache=True, nogil=True)
def again(ring: Rows, n: int, is_on: Mask, stamp: Rows, value: int, slate: Rows, k: int) -> None:
    """Fill a slate up with what was seen, and has not been since, longest ago first."""
    if k == len(slate):
        return
    found, n_found = np.empty(len(ring), np.int32), 0
    for p in range(n - 1, max(0, n - len(ring)) - 1, -1):
        row = ring[p % len(ring)]
        if row < len(is_on) and is_on[row] and stamp[row] == value:
            stamp[row] = -value
            found[n_found] = row
            n_found += 1
    for j in range(min(len(slate) - k, n_found)):
        slate[k + j] = found[n_found - 1 - j]


@njit(cache=True, nogil=True)
def by_chance(
    seed: int, user: Rows, time_ms: Times, on: Rows, is_on: Mask, rings: Rows, n: Rows, width: int
) -> NDArray[np.int32]:
    """int32[B, width] drawn from ``on``; once most of it has been seen, the last slots are in the order of rows."""
    slates = np.full((len(user), width), NOTHING, np.int32)
    stamp = np.zeros(len(is_on), np.int32)
    for b in range(len(user)):
        value, k, state = b + 1, 0, seed_of(seed, user[b], time_ms[b])
        mark(stamp, rings[user[b]], n[user[b]], value)
        for _ in range(TRIES * width if len(on) else 0):
            if k == width:
                break
            state += np.uint64(0x9E3779B97F4A7C15)
            row = on[mix(state) % np.uint64(len(on))]
            if abs(stamp[row]) != value:
                slates[b, k] = row
                stamp[row] = -value
                k += 1
        start = int(mix(state) % np.uint64(max(len(on), 1)))
        k = unseen(on, start, stamp, value, slates[b], k)
        again(rings[user[b]], n[user[b]], is_on, stamp, value, slates[b], k)
    return slates


@njit(cache=True, nogil=True)
def by_order(user: Rows, order: Rows, is_on: Mask, rings: Rows, n: Rows, width: int) -> NDArray[np.int32]:
    """int32[B, width] the first of ``order`` that each has not seen."""
    slates = np.full((len(user), width), NOTHING, np.int32)
    stamp = np.zeros(len(is_on), np.int32)
    for b in range(len(user)):
        u, value = user[b], b + 1
        mark(stamp, rings[u], n[u], value)
        k = unseen(order, 0, stamp, value, slates[b], 0)
        again(rings[u], n[u], is_on, stamp, value, slates[b], k)
    return slates


@njit(cache=True, nogil=True)
def by_neighbours(
    user: Rows,
    liked: Rows,
    n_liked: Rows,
    recency: float,
    neighbours: Rows,
    sims: Floats,
    order: Rows,
    is_on: Mask,
    rings: Rows,
    n: Rows,
    width: int,
) -> NDArray[np.int32]:
    """int32[B, width] what resembles most of what each liked of late, then as ``by_order``.

    Args:
        liked, n_liked: rings of what each liked.
        recency: the video n places back counts recency^n.
        neighbours, sims: [M', K] by item row + 1, as retrieval has them.
    """
    slates = np.full((len(user), width), NOTHING, np.int32)
    stamp = np.zeros(len(is_on), np.int32)
    for b in range(len(user)):
        u, value = user[b], b + 1
        mark(stamp, rings[u], n[u], value)
        size = min(n_liked[u], liked.shape[1])
        keys, sums = empty_sums(size * neighbours.shape[1])
        for p in range(size):
            item = liked[u, (n_liked[u] - 1 - p) % liked.shape[1]] + 1
            if item >= len(neighbours):
                continue
            for j in range(neighbours.shape[1]):
                other = neighbours[item, j]
                if other == 0:
                    break
                if is_on[other - 1] and stamp[other - 1] != value:
                    add_to(keys, sums, other, sims[item, j] * recency**p)
        rows, _ = best_sums(keys, sums, width)
        for k in range(len(rows)):
            slates[b, k] = rows[k] - 1
            stamp[rows[k] - 1] = -value
        k = unseen(order, 0, stamp, value, slates[b], len(rows))
        again(rings[u], n[u], is_on, stamp, value, slates[b], k)
    return slates
