"""The compiled part of matrix completion: solve rows, take gradient steps, add up errors."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows

BLOCK = 8  # observations added at a time: one load and store of the sums for so many products


@njit(cache=True, nogil=True)
def solve_rows(
    first: int,
    last: int,
    ptr: NDArray[np.int64],
    others: Rows,
    values: Floats,
    features: Floats,
    other_biases: Floats,
    mean: float,
    l2: float,
    is_biased: bool,
    vectors: Floats,
    biases: Floats,
) -> None:
    """Rows first..last of one side, given the other: x = (F'F + l2 n I)^-1 F'(y - mean - biases of the others).

    F has the vectors of what the row observed, and with biases a column of ones. In float64: F'F of few observations
    is singular but for the l2. Rows without observations are left as they are.
    """
    width = features.shape[1]
    k = width + 1 if is_biased else width
    gram, right = np.empty((k, k)), np.empty(k)
    block, y = np.empty((BLOCK, k)), np.empty(BLOCK)
    for row in range(first, last):
        low, high = ptr[row], ptr[row + 1]
        if low == high:
            continue
        gram[:], right[:] = 0.0, 0.0
        for start in range(low, high, BLOCK):
            block[:], y[:] = 0.0, 0.0
            for at in range(start, min(start + BLOCK, high)):
                other = others[at]
                block[at - start, :width] = features[other]
                block[at - start, width:] = 1.0
                y[at - start] = values[at] - mean - other_biases[other]
            add_products(block, y, gram, right)
        least = l2 * (high - low)
        for p in range(k):
            gram[p, p] += least
        solve_symmetric(gram, right, least)
        vectors[row] = right[:width]
        if is_biased:
            biases[row] = right[width]


@njit(cache=True, nogil=True, fastmath={"contract"})
def add_products(
    block: NDArray[np.float64], y: NDArray[np.float64], gram: NDArray[np.float64], right: NDArray[np.float64]
) -> None:
    """Add: gram += block' block, its upper half; right += block' y."""
    for p in range(len(right)):
        a, b, c, d = block[0, p], block[1, p], block[2, p], block[3, p]
        e, f, g, h = block[4, p], block[5, p], block[6, p], block[7, p]
        right[p] += a * y[0] + b * y[1] + c * y[2] + d * y[3] + e * y[4] + f * y[5] + g * y[6] + h * y[7]
        # Rows as slices: the compiler makes vector code of these, and of two indices it does not.
        row, r0, r1, r2, r3 = gram[p, p:], block[0, p:], block[1, p:], block[2, p:], block[3, p:]
        r4, r5, r6, r7 = block[4, p:], block[5, p:], block[6, p:], block[7, p:]
        for q in range(len(row)):
            first = a * r0[q] + b * r1[q] + c * r2[q] + d * r3[q]
            row[q] += first + e * r4[q] + f * r5[q] + g * r6[q] + h * r7[q]


@njit(cache=True, nogil=True, fastmath={"contract"})
def solve_symmetric(a: NDArray[np.float64], x: NDArray[np.float64], least: float) -> None:
    """Solve a z = x for z, which x becomes, by Cholesky; reads and spoils the upper half of a.

    ``least`` > 0 is known to bound the eigenvalues of a, and so the pivots, from below: only rounding can take one
    beneath it.
    """
    n = len(x)
    for p in range(n):
        pivot = np.sqrt(max(a[p, p], least))
        row = a[p, p:]
        row /= pivot
        row[0] = pivot
        x[p] /= pivot
        for r in range(p + 1, n):
            factor, below, above = a[p, r], a[r, r:], a[p, r:]
            x[r] -= factor * x[p]
            for q in range(len(below)):
                below[q] -= factor * above[q]
    for p in range(n - 1, -1, -1):
        for q in range(p + 1, n):
            x[p] -= a[p, q] * x[q]
        x[p] /= a[p, p]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dot(a: Floats, b: Floats) -> float:
    """The inner product; its terms may be added in any order, which is the same in every run."""
    total = np.float32(0.0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return float(total)


@njit(cache=True, nogil=True)
def squared_errors(
    first: int,
    last: int,
    user_ptr: NDArray[np.int64],
    user_items: Rows,
    user_values: Floats,
    user_vectors: Floats,
    user_biases: Floats,
    item_vectors: Floats,
    item_biases: Floats,
    mean: float,
    errors: NDArray[np.float64],
) -> None:
    """errors[u] = the sum of squared errors of user u, for users first..last."""
    for user in range(first, last):
        total = 0.0
        for at in range(user_ptr[user], user_ptr[user + 1]):
            item = user_items[at]
            expected = mean + user_biases[user] + item_biases[item] + dot(user_vectors[user], item_vectors[item])
            total += (user_values[at] - expected) ** 2
        errors[user] = total


@njit(cache=True, nogil=True)
def gradient_steps(
    user: Rows,
    item: Rows,
    score: Floats,
    rate: float,
    l2: float,
    is_biased: bool,
    user_vectors: Floats,
    user_biases: Floats,
    item_vectors: Floats,
    item_biases: Floats,
) -> None:
    """A step along half the gradient of each observation, in the order given; ``score`` without the mean."""
    step, decay = np.float32(rate), np.float32(rate * l2)  # one float64 among the factors would halve the speed
    for n in range(len(user)):
        u, i = user[n], item[n]
        a, b = user_vectors[u], item_vectors[i]
        along = step * np.float32(score[n] - user_biases[u] - item_biases[i] - dot(a, b))
        for d in range(len(a)):
            a_d = a[d]
            a[d] += along * b[d] - decay * a_d
            b[d] += along * a_d - decay * b[d]
        if is_biased:
            user_biases[u] += along - decay * user_biases[u]
            item_biases[i] += along - decay * item_biases[i]
