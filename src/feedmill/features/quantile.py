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
    top = edges.shape[1] - 1
    out = np.zeros((n, 3 * n_columns), np.float32)
    for f in range(n_columns):
        row = edges[f]
        for r in range(n):
            v = values[f, r]
            if np.isnan(v):
                continue
            low = np.searchsorted(row, v, "left")
            high = np.searchsorted(row, v, "right")
            if high > low:
                x = (low + high - 1) / 2 / top
            elif low == 0:
                x = 0.0
            elif low > top:
                x = 1.0
            else:
                x = (low - 1 + (v - row[low - 1]) / (row[low] - row[low - 1])) / top
            out[r, f] = x
            out[r, n_columns + f] = x * x
            out[r, 2 * n_columns + f] = np.sqrt(x)
    return out
