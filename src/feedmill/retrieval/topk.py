"""The best k of a stream of (score, row), in compiled code: a heap with the worst kept entry on top.

Better means a higher score and, where scores are equal, a lower row: a total order, so the answer does not
depend on the order of arrival. Kernels of other files have this code compiled into theirs, and numba's cache
does not notice a change here: after editing this file, empty the cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows

BITS = 19  # float32 bits below a histogram bucket: 16 buckets per doubling
BUCKETS = 1 << (31 - BITS)  # for all numbers >= 0



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
def least(bits: Rows, n: int, k: int, counts: Rows) -> int:
    """A lower bound of the k-th largest of n numbers >= 0, all as the bits of float32, which sort alike.

    One histogram by leading bits: a heap that saw every number would take twice the time of all the rest.

    Args:
        counts: int32[BUCKETS] of scratch.
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


@njit(cache=True, nogil=True)
def keep_best(n: int, places: Rows, found: Floats, names: Rows, rows: Rows, scores: Floats, counts: Rows) -> None:
    """Fill ``rows`` and ``scores`` with the best k of n scores, best first; what is not above 0 is left out.

    Args:
        places: int32[>= n] of each score, which ``names`` makes a row of.
        found: float32[>= n] >= 0.
        counts: int32[BUCKETS] of scratch.
    """
    bits, k, n_kept = found.view(np.int32), len(rows), 0
    low = least(bits, n, k, counts) if n > 4 * k else 1
    for t in range(n):
        if bits[t] >= low:
            n_kept = offer(rows, scores, n_kept, names[places[t]], found[t])
    best_first(rows, scores, n_kept)
