"""The top-K most similar rows of a sparse table, in compiled code and on all cores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.retrieval.cores import on_all_cores
from feedmill.retrieval.prefetch import prefetch
from feedmill.retrieval.table import Table
from feedmill.retrieval.topk import BUCKETS, keep_best, key_of, least

AHEAD = 6  # lists are asked for this many users early
LINE, LONG = 16, 512  # 32-bit numbers in a cache line, and how much of a list is asked for
LANES, DEEP = 256, 16  # places are read in chunks of DEEP x LANES; each lane is a group of DEEP places
CHUNK = LANES * DEEP
SPARSE = 20  # reading a sum on its own costs as much as this many in a row


class Norms(NamedTuple):
    """What makes a similarity of a sum; by place, with zeros up to whole chunks."""

    left: Floats
    right: Floats
    shrinkage: Any  # np.float32
    top: Any  # np.float32


class Scratch(NamedTuple):
    """What one thread writes on; sums and counts are 0 between rows."""

    sums: Floats  # by place
    n_shared: Floats  # the same, or empty without shrinkage
    met: Rows  # places of sums in use
    largest: Floats
    keys: NDArray[np.uint64]
    counts: Rows

    @staticmethod
    def of(n_places: int, is_counting: bool) -> Scratch:
        return Scratch(
            sums=np.zeros(n_places, np.float32),
            n_shared=np.zeros(n_places if is_counting else 0, np.float32),
            met=np.empty(n_places + 1, np.int32),
            largest=np.empty(n_places, np.float32),
            keys=np.empty(n_places, np.uint64),
            counts=np.empty(BUCKETS, np.int32),
        )


def similar(
    table: Table, left: Floats, right: Floats, shrinkage: float, top: float, top_k: int, what: str = "similar items"
) -> tuple[Rows, Floats]:
    """Of each item a the ``top_k`` items b with the largest positive

        n/(n + shrinkage) min(top, left[a] right[b] sum_u value(u,a) value(u,b)),   n = the users both have.

    Each product is added twice, for a and for b: the half that could be saved is saved in adding only, while every
    list would need what the rows of others found, from all threads.

    Args:
        left, right: float32[n_items] by place.

    Returns:
        int32[n_items, top_k] and float32[n_items, top_k] by item, best first, padded with 0; equal ones by item row.
    """
    n_items = len(table.items)
    neighbours, sims = np.zeros((n_items, top_k), np.int32), np.zeros((n_items, top_k), np.float32)
    work = table.work()
    hot = hot_places(table, work)
    padded = np.zeros((2, -(-n_items // CHUNK) * CHUNK), np.float32)
    padded[:, :n_items] = left, right
    norms = Norms(padded[0], padded[1], np.float32(shrinkage), np.float32(top))

    def rows(first: int, last: int) -> None:
        similar_rows(first, last, table, hot, norms, Scratch.of(len(norms.left), shrinkage > 0), neighbours, sims)

    on_all_cores(what, work, rows)
    return neighbours, sims


def hot_places(table: Table, work: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64[n_items]: of each place's row, the places before this one are where so many sums are expected to be in use
    that looking through all of them costs less than noting which; in whole chunks."""
    counts = np.diff(table.item_ptr)
    enough = len(table.item_users) / (SPARSE * np.maximum(work, 1e-9))
    places = np.searchsorted(-counts, -enough, side="right")
    return -(-places // CHUNK) * CHUNK


@njit(cache=True, nogil=True)
def similar_rows(
    first: int,
    last: int,
    table: Table,
    hot: NDArray[np.int64],
    norms: Norms,
    scratch: Scratch,
    neighbours: Rows,
    sims: Floats,
) -> None:
    """Rows of the items at places first..last of ``similar``.

    Row a walks a's users and their items, adding into an array over the catalogue. The hot part of that, where most
    sums are in use, is then read as a whole; which others are in use is noted on the way.
    """
    for a in range(first, last):
        n_met = add(a, table, hot[a], scratch)
        look(a, hot[a], n_met, norms, scratch)
        low = least(scratch.largest, hot[a] // DEEP + n_met, neighbours.shape[1], scratch.counts)
        n = choose(a, hot[a], n_met, low, norms, scratch, table.items)
        keep_best(scratch.keys, n, neighbours[table.items[a]], sims[table.items[a]])


@njit(cache=True, nogil=True)
def add(a: int, table: Table, head: int, scratch: Scratch) -> int:
    """Add the products of place a to the sums, and count them if there are counts.

    Returns:
        how many sums from ``head`` on are in use; ``met`` has their places. That of a itself is set to 0.
    """
    users, ptr, places, values = table.item_users, table.user_ptr, table.user_places, table.user_values
    sums, n_shared, met = scratch.sums, scratch.n_shared, scratch.met
    one, n_met, last = np.uint32(1), 0, np.uint64(len(users) - 1)
    for p in range(np.uint64(table.item_ptr[a]), np.uint64(table.item_ptr[a + 1])):
        ahead = users[min(p + np.uint64(AHEAD), last)]
        begin, end = ptr[ahead], ptr[ahead + one]
        for q in range(begin, min(end, begin + np.uint32(LONG)), LINE):
            prefetch(places, q)
            if len(values):
                prefetch(values, q)
        value = table.item_values[p]
        begin, end = ptr[users[p]], ptr[users[p] + one]
        q = end
        while q > begin and places[q - one] >= head:
            q -= one
            met[n_met] = places[q]  # no branch: whether it is new is a coin toss to the processor
            n_met += sums[places[q]] == 0
        if len(values):
            for q in range(begin, end):
                sums[places[q]] += value * values[q]
        else:
            for q in range(begin, end):
                sums[places[q]] += value * value
        if len(n_shared):
            for q in range(begin, end):
                n_shared[places[q]] += np.float32(1)
    sums[a] = 0
    return n_met


@njit(cache=True, nogil=True)
def similarity(total: float, left: float, right: float, top: float) -> float:
    """float32, without shrinkage; the product of norms comes first, so that two items may change places."""
    sim = total * (left * right)
    return sim if sim < top else top


@njit(cache=True, nogil=True, error_model="numpy")
def shrunk(n: float, shrinkage: float) -> float:
    """What a similarity is multiplied by that n users support."""
    return n / (n + shrinkage)


@njit(cache=True, nogil=True)
def look(a: int, head: int, n_met: int, norms: Norms, scratch: Scratch) -> None:
    """Write to ``largest`` the largest similarity of each group of hot places, and behind them the others.

    Group j of the chunk that begins at c has the places c + j, c + j + LANES, …: so that the loop over groups is one
    over vectors.
    """
    left, top, shrinkage, largest = norms.left[a], norms.top, norms.shrinkage, scratch.largest
    is_counting = len(scratch.n_shared) > 0
    for start in range(0, head, CHUNK):
        group = largest[start // DEEP : start // DEEP + LANES]
        group[:] = 0
        for low in range(start, start + CHUNK, LANES):
            total, right = scratch.sums[low : low + LANES], norms.right[low : low + LANES]
            if is_counting:
                n = scratch.n_shared[low : low + LANES]
                for j in range(LANES):
                    sim = similarity(total[j], left, right[j], top) * shrunk(n[j], shrinkage)
                    group[j] = sim if sim > group[j] else group[j]
            else:
                for j in range(LANES):
                    sim = similarity(total[j], left, right[j], top)
                    group[j] = sim if sim > group[j] else group[j]
    for t in range(n_met):
        b = scratch.met[t]
        sim = similarity(scratch.sums[b], left, norms.right[b], top)
        largest[head // DEEP + t] = sim * shrunk(scratch.n_shared[b], shrinkage) if is_counting else sim


@njit(cache=True, nogil=True)
def choose(a: int, head: int, n_met: int, low: float, norms: Norms, scratch: Scratch, items: Rows) -> int:
    """Write what is not below ``low`` to ``keys``, and clear the sums.

    Returns:
        how many keys. Only groups whose largest is not below ``low`` are opened.
    """
    sums, n_shared, largest, keys = scratch.sums, scratch.n_shared, scratch.largest, scratch.keys
    n_groups, n, is_counting = head // DEEP, 0, len(scratch.n_shared) > 0
    for t in range(n_met):
        b = scratch.met[t]
        sums[b] = 0
        if is_counting:
            n_shared[b] = 0
        if largest[n_groups + t] >= low:
            keys[n] = key_of(items[b], largest[n_groups + t])
            n += 1
    for group in range(n_groups):
        if largest[group] >= low:
            first = group // LANES * CHUNK + group % LANES
            for b in range(first, first + CHUNK, LANES):
                sim = similarity(sums[b], norms.left[a], norms.right[b], norms.top)
                if is_counting:
                    sim *= shrunk(n_shared[b], norms.shrinkage)
                if sim >= low:
                    keys[n] = key_of(items[b], sim)
                    n += 1
    sums[:head] = 0
    n_shared[: head if is_counting else 0] = 0
    return n
