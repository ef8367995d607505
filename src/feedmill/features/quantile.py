"""Quantile normalisation to [0, 1] with powers (Covington et al. 2016, section 4.1)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats


def fit_edges(values: NDArray[np.floating], n: int) -> Floats:
    """float32[n] quantiles of the finite values, ascending; zeros where there are none."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.zeros(n, np.float32)
    edges: Floats = np.quantile(finite, np.linspace(0, 1, n)).astype(np.float32)
    return edges


@njit(cache=True, nogil=True)
def with_powers(values: Floats, edges: Floats) -> Floats:
    """Columns of raw numbers -> x, x² and sqrt(x) of each, so that a net need not learn the curves.

    Args:
        values: float32[F, n], a row per column: infinity (never, of a time since) becomes 1, NaN (unknown) 0.
        edges: float32[F, Q] of ``fit_edges``.

    Returns:
        float32[n, 3 F]; x is the share of the fitted values at or below, linear between edges. Where edges are equal
        (many equal values) it is the middle of their range.
    """
    n_columns, n = values.shape
    top, size = edges.shape[1] - 1, 1
    while size < top + 2:
        size *= 2
    row = np.full(size, np.float32(np.inf))  # a power of two is searched without a branch to guess
    end = np.empty(top + 1, np.int64)  # of each edge, how many edges are not above it
    x, out = np.zeros((n_columns, n), np.float32), np.empty((n, 3 * n_columns), np.float32)
    for f in range(n_columns):
        row[: top + 1] = edges[f]
        for i in range(top, -1, -1):
            end[i] = end[i + 1] if i < top and row[i + 1] == row[i] else i + 1
        for r in range(n):
            v, low, step = values[f, r], 0, size // 2
            while step:
                low += step if row[low + step - 1] < v else 0
                step //= 2
            if low > top:
                x[f, r] = 1.0
            elif row[low] == v:
                x[f, r] = (low + end[low] - 1) / 2 / top
            elif low > 0:
                x[f, r] = (low - 1 + (v - row[low - 1]) / (row[low] - row[low - 1])) / top
    for r in range(n):
        for f in range(n_columns):
            out[r, f] = x[f, r]
            out[r, n_columns + f] = x[f, r] * x[f, r]
            out[r, 2 * n_columns + f] = np.sqrt(x[f, r])
    return out
