"""The top-K most similar rows of a sparse table, in compiled code and on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.progress import progress
from feedmill.retrieval.topk import best_first, offer

BITS = 19  # float32 bits below a histogram bucket: 16 buckets per doubling, 4096 for all positive numbers


class Table(NamedTuple):
    """A sparse matrix of users x items from both its sides; user u has ``user_ptr[u]:user_ptr[u+1]``."""

    user_ptr: NDArray[np.int64]  # [n_users + 1]
    user_items: Rows
    user_values: Floats
    item_ptr: NDArray[np.int64]  # [n_items + 1]
    item_users: Rows
    item_values: Floats

    @staticmethod
    def of(user: Rows, item: Rows, values: Floats, n_users: int, n_items: int) -> Table:
        """Entries in any order; each (user, item) once."""
        return Table(*group(user, item, values, n_users), *group(item, user, values, n_items))

    def item_norms(self) -> NDArray[np.float64]:
        """float64[n_items]: the sum of squares of each item's values."""
        return self._per_item(np.square(self.item_values, dtype=np.float64))

    def item_work(self) -> NDArray[np.float64]:
        """float64[n_items]: products to add for each item's row."""
        return self._per_item(np.diff(self.user_ptr)[self.item_users])

    def _per_item(self, entries: NDArray[Any]) -> NDArray[np.float64]:
        owner = np.repeat(np.arange(len(self.item_ptr) - 1), np.diff(self.item_ptr))
        return np.bincount(owner, entries, len(self.item_ptr) - 1).astype(np.float64)


def similar(table: Table, left: Floats, right: Floats, shrinkage: float, top: float, top_k: int) -> tuple[Rows, Floats]:
    """Of each item a the ``top_k`` items b with the largest positive

        min(top, left[a] right[b] n/(n + shrinkage) sum_u value(u,a) value(u,b)),   n = the users both have.

    Returns:
        int32[n_items, top_k] and float32[n_items, top_k], best first, padded with 0; equal ones by item row.
    """
    n_items = len(table.item_ptr) - 1
    neighbours, sims = np.zeros((n_items, top_k), np.int32), np.zeros((n_items, top_k), np.float32)

    def rows(first: int, last: int) -> None:
        similar_rows(first, last, table, left, right, shrinkage, top, neighbours, sims)

    on_all_cores("similar items", table.item_work(), rows)
    return neighbours, sims


def on_all_cores(what: str, work: NDArray[np.float64], rows: Callable[[int, int], Any]) -> None:
    """Call ``rows(first, last)``, which must let go of the GIL, over spans of about equal work.

    Plain threads, and not a parallel kernel: those take 17 s to compile, and their fixed shares leave cores
    idle where a few rows hold most of the work.
    """
    with progress(what, len(work)) as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(last - first, pool.submit(rows, first, last)) for first, last in spans(work, 64)]
        for n, job in jobs:
            job.result()
            advance(n)


def spans(work: NDArray[np.float64], n: int) -> Sequence[tuple[int, int]]:
    """At most ``n`` adjoining ranges of rows, none empty, that hold about equal work."""
    share = np.cumsum(work) / max(work.sum(), 1)
    inner = np.searchsorted(share, np.arange(1, n) / n, side="right")
    edges = np.unique(np.concatenate([[0], inner, [len(work)]])).tolist()
    return list(pairwise(edges))


@njit(cache=True, nogil=True)
def group(
    key: Rows, other: Rows, values: Floats, n_keys: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Entries grouped by key, in their order of arrival: ptr int64[n_keys + 1], others, values."""
    ptr = np.zeros(n_keys + 1, np.int64)
    for k in key:
        ptr[k + 1] += 1
    for n in range(n_keys):
        ptr[n + 1] += ptr[n]
    end = ptr[:-1].copy()
    grouped, grouped_values = np.empty(len(key), np.int32), np.empty(len(key), np.float32)
    for n in range(len(key)):
        at = end[key[n]]
        end[key[n]] = at + 1
        grouped[at], grouped_values[at] = other[n], values[n]
    return ptr, grouped, grouped_values


@njit(cache=True, nogil=True)
def similar_rows(
    first: int,
    last: int,
    table: Table,
    left: Floats,
    right: Floats,
    shrinkage: float,
    top: float,
    neighbours: Rows,
    sims: Floats,
) -> None:
    """Rows first..last of ``similar``.

    Row a walks a's users and their items, adding into an array over the catalogue and noting which entries
    it met, so that only those are read and cleared. Scratch belongs to the call: threads share nothing.
    """
    n_items, width = len(right), neighbours.shape[1]
    sums, met = np.zeros(n_items, np.float32), np.empty(n_items + 1, np.int32)
    n_shared = np.zeros(n_items if shrinkage > 0 else 1, np.int32)
    found = np.empty(n_items, np.float32)
    bits, counts = found.view(np.int32), np.zeros(1 << (31 - BITS), np.int32)
    for a in range(first, last):
        n_met = 0
        for p in range(table.item_ptr[a], table.item_ptr[a + 1]):
            user, value = table.item_users[p], table.item_values[p]
            for q in range(table.user_ptr[user], table.user_ptr[user + 1]):
                b = table.user_items[q]
                met[n_met] = b
                n_met += sums[b] == 0  # no branch: whether b is new is a coin toss to the processor
                sums[b] += value * table.user_values[q]
                if shrinkage > 0:
                    n_shared[b] += 1
        sums[a] = 0
        for t in range(n_met):
            b = met[t]
            sim = sums[b] * (left[a] * right[b])
            if shrinkage > 0:
                sim *= n_shared[b] / (n_shared[b] + shrinkage)
                n_shared[b] = 0
            found[t] = min(sim, top)
            sums[b] = 0
        low = least(bits, n_met, width, counts) if n_met > 4 * width else 1
        rows, scores, n_kept = neighbours[a], sims[a], 0
        for t in range(n_met):
            if bits[t] >= low:
                n_kept = offer(rows, scores, n_kept, met[t], found[t])
        best_first(rows, scores, n_kept)


@njit(cache=True, nogil=True)
def least(bits: Rows, n: int, k: int, counts: Rows) -> int:
    """A lower bound of the k-th largest of n numbers >= 0, all as the bits of float32, which sort alike.

    One histogram by leading bits: a heap that saw every number would take twice the time of all the rest.
    """
    counts[:] = 0
    for t in range(n):
        counts[bits[t] >> BITS] += 1
    above = 0
    for bucket in range(len(counts) - 1, -1, -1):
        above += counts[bucket]
        if above >= k:
            return max(bucket << BITS, 1)
    return 1
