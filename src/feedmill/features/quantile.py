"""Quantile normalisation to [0, 1] with powers (Covington et al. 2016, section 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats


def fit_edges(values: NDArray[np.floating], n: int) -> Floats:
    """float32[n] quantiles of the finite values, ascending; zeros where there are none."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.zeros(n, np.float32)
    edges: Floats = np.quantile(finite, np.linspace(0, 1, n)).astype(np.float32)
    return edges


def cdf(values: Floats, edges: Floats) -> Floats:
    """float32 like ``values``: the share of the fitted values at or below, linear between edges.

    Equal edges (many equal values) give the middle of their range; infinity (never, in a time since) gives
    1, NaN (unknown) gives 0.
    """
    low = np.interp(values, edges, np.linspace(0, 1, len(edges)))
    ties = np.searchsorted(edges, values, "left"), np.searchsorted(edges, values, "right")
    middle = (ties[0] + ties[1] - 1) / 2 / (len(edges) - 1)
    out = np.where(ties[1] - ties[0] > 1, middle, low)
    return np.where(np.isnan(values), 0.0, out).astype(np.float32)


def with_powers(x: Floats) -> Floats:
    """float32[n, F] in [0, 1] -> float32[n, 3 F]: x, x², sqrt(x), so that a net need not learn the curves."""
    return np.concatenate([x, x * x, np.sqrt(x)], axis=1)
