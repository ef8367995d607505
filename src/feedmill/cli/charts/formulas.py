"""The formulas behind the curves, in NumPy: pictures need no torch. Tests hold them equal to the heads' own."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
WCE_CAP = 8.0  # on w of schemes 1 and 2, as usual


def wce_seconds(scheme: int, odds: NDArray[Any]) -> Doubles:
    """Seconds that schemes 1, 2 and 3 of weighted cross-entropy serve for odds p / (1 - p): 2^odds - 1,
    max(0, 2^(odds - 1) - 1), odds."""
    x = np.asarray(odds, np.float64)
    if scheme == 3:
        return x
    return np.asarray(np.maximum(np.exp2(x - (scheme == 2)) - 1, 0.0), np.float64)


def wce_gradient(predicted: NDArray[Any], w: float) -> Doubles:
    """dL/dt̂ of L = (1 + w) log(1 + t̂) - w log t̂, weighted cross-entropy by its odds t̂: (t̂ - w) / (t̂ (1 + t̂))."""
    x = np.asarray(predicted, np.float64)
    return (x - w) / (x * (1 + x))


def wce_logit_gradient(predicted: NDArray[Any], w: float) -> Doubles:
    """dL/dz of the same, z = log t̂: p - w (1 - p) = (t̂ - w) / (1 + t̂)."""
    x = np.asarray(predicted, np.float64)
    return (x - w) / (1 + x)


def geometric(mean: float, k: NDArray[Any]) -> Doubles:
    """P(k), k = 0, 1, …, of the geometric distribution of this mean: (mean / (1 + mean))^k / (1 + mean)."""
    return np.asarray(np.exp(np.asarray(k) * np.log(mean / (1 + mean))) / (1 + mean), np.float64)


def exponential(mean: float, start: NDArray[Any], end: NDArray[Any]) -> Doubles:
    """P(start <= t < end) of the exponential distribution of this mean."""
    return np.asarray(np.exp(-np.asarray(start) / mean) - np.exp(-np.asarray(end) / mean), np.float64)


def distilled(
    points: Doubles, t: float, noise: Literal["gaussian", "laplace"], sigma: float, width: Doubles | None = None
) -> Doubles:
    """q_k proportional to exp(-(t_k - t)² / (2 sigma²)) or exp(-|t_k - t| / sigma), times the bin's width if given."""
    far = np.abs(points - t) / sigma
    fall = far**2 / 2 if noise == "gaussian" else far
    q = np.exp(fall.min() - fall) * (1 if width is None else width)
    return np.asarray(q / q.sum(), np.float64)


class Bins(NamedTuple):
    """K bins: bin k holds lower < t <= upper, the first one 0 s as well; as ``models/heads/bins.py`` has them.

    Attributes:
        lower, upper: float64[K] seconds, from 0 to the longest.
        means: float64[K] of the rows inside, the middle where there are none.
    """

    lower: Doubles
    upper: Doubles
    means: Doubles

    def of(self, seconds: Doubles) -> NDArray[np.int64]:
        """int64[n] the bin of each."""
        return np.searchsorted(self.upper[:-1], seconds, "left").astype(np.int64)

    @classmethod
    def cut(cls, edges: Doubles, seconds: Doubles) -> Bins:
        """By inner edges; those that coincide, or that no row lies above, are left out."""
        longest = float(seconds.max())
        inner = np.unique(edges)
        inner = inner[inner < longest]
        at = np.searchsorted(inner, seconds, "left")
        n = np.bincount(at, minlength=len(inner) + 1)
        lower, upper = np.concatenate([[0.0], inner]), np.concatenate([inner, [longest]])
        total = np.bincount(at, seconds, minlength=len(n))
        return cls(lower, upper, np.where(n > 0, total / np.maximum(n, 1), (lower + upper) / 2))


def equal_frequency(seconds: Doubles, n_bins: int) -> Doubles:
    """Inner edges: labels at the k/n of the sorted ones."""
    return np.quantile(seconds, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
