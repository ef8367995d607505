"""Intervals over users: users are what is sampled, the places in one user's list are not independent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.errors import DataError

CHUNK = 4_000_000  # draws held at once


class Interval(NamedTuple):
    """A mean over n users with its bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def bootstrap(
    values: NDArray[Any],
    seed: int,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    purpose: str = "bootstrap",
) -> Interval:
    """The mean over users with the percentile bootstrap's interval. Efron 1979.

    Args:
        values: [U], one number per user; NaN = the metric does not apply to the user, who is left out.
        seed: the same seed gives the same interval.
        level: the share of resampled means inside the interval.

    Returns:
        NaN all over when no user is left.

    Raises:
        DataError: ``level`` is not inside (0, 1), or ``values`` is not one-dimensional.
    """
    if not 0 < level < 1:
        raise DataError(f"level {level}", "between 0 and 1, such as 0.95")
    if np.ndim(values) != 1:
        raise DataError(f"values of shape {np.shape(values)}", "one number per user")
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    n = len(known)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    draw = rng(seed, purpose)
    step = max(1, CHUNK // n)
    means = [
        known[draw.integers(0, n, (min(step, n_resamples - at), n))].mean(axis=1) for at in range(0, n_resamples, step)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high), n)


def paired_difference(
    ours: NDArray[Any], theirs: NDArray[Any], seed: int, *, level: float = 0.95, n_resamples: int = 1000
) -> Interval:
    """The mean of ``ours - theirs`` over the same users: above 0 throughout means ours is better.

    Pairing takes out what makes users differ from each other, so it tells rows of a table apart that their
    separate intervals cannot.

    Args:
        ours: [U], one number per user.
        theirs: [U], the same users in the same order; a NaN in either leaves the user out.

    Raises:
        DataError: not the same number of users.
    """
    if np.shape(ours) != np.shape(theirs):
        raise DataError(f"shapes {np.shape(ours)} and {np.shape(theirs)}", "the same users in both")
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    return bootstrap(difference, seed, level=level, n_resamples=n_resamples, purpose="paired")
