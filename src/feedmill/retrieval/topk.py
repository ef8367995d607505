"""The best k of a stream of (score, row), in compiled code: a heap with the worst kept entry on top.

Better means a higher score and, where scores are equal, a lower row: a total order, so the answer does not
depend on the order of arrival. Kernels of other files have this code compiled into theirs, and numba's cache
does not notice a change here: after editing this file, empty the cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows

BITS = 19  # float32 bits below a histogram bucket: 16 buckets per doubling
BUCKETS = 1 << (31 - BITS)  # for all numbers >= 0
LAST, FEW = np.uint64(0xFFFFFFFF), 400


@njit(cache=True, nogil=True)
def worse(score_a: float, row_a: int, score_b: float, row_b: int) -> bool:
    """Whether a stands behind b."""
    return score_a < score_b or (score_a == score_b and row_a > row_b)


@njit(cache=True, nogil=True)
def offer(rows: Rows, scores: Floats, n: int, row: int, score: float) -> int:
    """Offer an entry to the heap in ``rows`` and ``scores`` (int32[k], float32[k]), which holds ``n``.

    Returns:
        How many it holds now.
    """
    if n < len(rows):
        hole = n
        while hole > 0:
            parent = (hole - 1) >> 1
            if not worse(score, row, scores[parent], rows[parent]):
                break
            rows[hole], scores[hole] = rows[parent], scores[parent]
            hole = parent
        rows[hole], scores[hole] = row, score
        return n + 1
    if n > 0 and worse(scores[0], rows[0], score, row):
        sink(rows, scores, n, row, score)
    return n


@njit(cache=True, nogil=True)
def sink(rows: Rows, scores: Floats, n: int, row: int, score: float) -> None:
    """Replace the top of a heap of ``n`` and restore the order."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= n:
            break
        if child + 1 < n and worse(scores[child + 1], rows[child + 1], scores[child], rows[child]):
            child += 1
        if not worse(scores[child], rows[child], score, row):
            break
        rows[hole], scores[hole] = rows[child], scores[child]
        hole = child
    rows[hole], scores[hole] = row, score


@njit(cache=True, nogil=True)
def best_first(rows: Rows, scores: Floats, n: int) -> None:
    """Sort a heap of ``n`` in place, best first."""
    for end in range(n - 1, 0, -1):
        row, score = rows[end], scores[end]
        rows[end], scores[end] = rows[0], scores[0]
        sink(rows, scores, end, row, score)


@njit(cache=True, nogil=True)
def least(numbers: Floats, n: int, k: int, counts: Rows) -> float:
    """A lower bound above 0 of the k-th largest of n numbers >= 0, or the smallest number there is.

    One histogram by leading bits, which sort as the numbers do: a heap that saw every number would take twice the
    time of all the rest.

    Args:
        counts: int32[BUCKETS] of scratch.
    """
    bits, bound, above, most = numbers.view(np.int32), np.ones(1, np.int32), 0, np.float32(0)
    if n > k:
        counts[:] = 0
        for t in range(n):
            most = numbers[t] if numbers[t] > most else most
            counts[bits[t] >> BITS] += 1
        for bucket in range(np.array([most]).view(np.int32)[0] >> BITS, -1, -1):
            above += counts[bucket]
            if above >= k:
                bound[0] = max(bucket << BITS, 1)
                break
    smallest: float = bound.view(np.float32)[0]
    return smallest


@njit(cache=True, nogil=True)
def key_of(row: int, score: float) -> np.uint64:
    """Row and score > 0 as one number: a larger key is a better entry."""
    bits = np.array([score], np.float32).view(np.uint32)[0]
    return np.uint64(bits) << np.uint64(32) | np.uint64(LAST - np.uint64(row))


@njit(cache=True, nogil=True)
def keep_best(keys: NDArray[np.uint64], n: int, rows: Rows, scores: Floats) -> None:
    """Fill ``rows`` and ``scores`` (int32[k], float32[k]) with the best of n entries (``key_of``), best first.

    A few hundred are ranked by comparing all with all: a processor does eight of those at a time and guesses none
    of them wrong, while a heap is one guess after the other.
    """
    k, n_kept = len(rows), 0
    bits = scores.view(np.uint32)
    if n <= FEW:
        for t in range(n):
            rank = 0
            for other in range(n):
                rank += keys[other] > keys[t]
            if rank < k:
                rows[rank] = LAST - (keys[t] & LAST)
                bits[rank] = keys[t] >> np.uint64(32)
        return
    for t in range(n):
        score = np.array([keys[t] >> np.uint64(32)], np.uint32).view(np.float32)[0]
        n_kept = offer(rows, scores, n_kept, LAST - (keys[t] & LAST), score)
    best_first(rows, scores, n_kept)
