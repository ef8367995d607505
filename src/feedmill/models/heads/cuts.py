"""Training labels cut off at the cap, and into bins at levels of their distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Doubles = NDArray[np.float64]


def capped_labels(seconds: NDArray[np.float32], cap_s: float, n_bins: int = 1) -> Doubles:
    """float32[n] -> float64[n] of at most ``cap_s``.

    Raises:
        DataError: fewer rows than bins, or the same label in every row.
    """
    t = np.minimum(seconds.astype(np.float64), cap_s)
    if len(t) < n_bins:
        raise DataError(f"{len(t):,} watch times for {n_bins:,} bins", "a row for each bin at least", "take fewer bins")
    if t.min() == t.max():
        raise DataError(
            f"all {len(t):,} watch times are {t[0]:g} s",
            "watch times that differ",
            f"raise cap_s = {cap_s:g}, or leave the watch-time head out until there is something to tell apart",
        )
    return t


def inner_edges(t: Doubles, levels: Doubles) -> Doubles:
    """Labels at these levels of their distribution, each once and below the largest: every bin then holds rows.

    A bin is (edge, next edge]; where many labels are equal, edges coincide and there are fewer bins than levels.

    Args:
        t: float64[n] labels that differ.
        levels: in (0, 1), ascending.

    Returns:
        float64[K - 1] for K >= 2 bins, ascending.
    """
    edges = np.unique(np.quantile(t, levels, method="inverted_cdf"))
    edges = edges[edges < t.max()]
    return edges if len(edges) else np.array([t[t < t.max()].max()])


def bin_means(t: Doubles, edges: Doubles) -> Doubles:
    """Mean label of each of K bins, from its K - 1 inner edges."""
    bins = np.searchsorted(edges, t, side="left")
    means: Doubles = np.bincount(bins, t, len(edges) + 1) / np.bincount(bins, minlength=len(edges) + 1)
    return means
