"""Between scores and seconds: what a view says of liking, and how long a score makes people watch.

Seconds cannot be the target: they are mostly the video's length. A view's target is ln(1 + seconds) against what is
usual for its duration, in standard deviations: comparable over durations, as quantiles within a duration are (D2Q; Zhan
et al. 2022), and bounded in what one replay can do.

Back to seconds goes a surface fitted to predictions made before the views they are for::

    E[W | s, d] = Σ_j,k c_jk · s^j · (ln d - 4)^k,  j = 0..2, k = 0..4

by least squares weighted by 1 / d². For one video it is a parabola in s, so that a whole catalogue is valued quickly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats

N_BINS, MIDDLE = 24, 4.0
BY_SCORE, BY_LENGTH = 3, 5  # coefficients of the surface
LEAST_S = 0.1  # nobody is expected to watch less
PRIOR = 50.0  # views that the first guess, more seconds for a higher score, counts for


def log_length(duration_s: Floats) -> Floats:
    """Natural logarithm of seconds over e^4; the middle where the length is unknown."""
    known = np.where(np.isfinite(duration_s) & (duration_s > 0), duration_s, np.exp(MIDDLE))
    length: Floats = (np.log(np.clip(known, 1, 7200)) - MIDDLE).astype(np.float32)
    return length


class Yardstick:
    """What is usual for each duration, from the views it is ``fit`` to."""

    def __init__(self) -> None:
        self._mean, self._sd = np.zeros(N_BINS, np.float32), np.ones(N_BINS, np.float32)

    def fit(self, length: Floats, seconds: Floats) -> None:
        """Mean and standard deviation of ln(1 + seconds) by half doublings of the duration."""
        y, at = np.log1p(seconds.astype(np.float64)), bins(length)
        overall = np.array([y.mean(), (y * y).mean()])
        n, few = np.bincount(at, minlength=N_BINS), 20
        mean, square = (
            (np.bincount(at, moment, N_BINS) + few * prior) / (n + few)
            for moment, prior in zip((y, y * y), overall, strict=True)
        )
        self._mean = mean.astype(np.float32)
        self._sd = np.sqrt(np.maximum(square - mean * mean, 1e-3)).astype(np.float32)

    def target(self, length: Floats, seconds: Floats) -> Floats:
        """float32[n] standard deviations above what is usual."""
        at = bins(length)
        target: Floats = ((np.log1p(seconds) - self._mean[at]) / self._sd[at]).astype(np.float32)
        return target


def bins(length: Floats) -> NDArray[np.intp]:
    """Half doublings of the duration."""
    at: NDArray[np.intp] = np.clip(np.rint((length + MIDDLE) * (2 / np.log(2))), 0, N_BINS - 1).astype(np.intp)
    return at


class Surface:
    """E[W | s, d], learned from scores and what came of them, older views fading.

    Attributes:
        low, high: the scores between which it has seen enough; beyond them it is flat.
    """

    def __init__(self) -> None:
        size = BY_SCORE * BY_LENGTH
        self._gram, self._pull = np.zeros((size, size)), np.zeros(size)
        self.low, self.high = -1.0, 1.0
        self._prior = np.zeros(size)
        self._prior[0], self._prior[BY_LENGTH] = 10.0, 10.0

    def fit(self, score: Floats, length: Floats, seconds: Floats, keep: float) -> None:
        """Take in views; what was known before counts ``keep`` times."""
        self._gram *= keep
        self._pull *= keep
        for first in range(0, len(score), 1 << 18):
            span = slice(first, first + (1 << 18))
            s, x = score[span].astype(np.float64), length[span].astype(np.float64)
            basis = np.stack([s**j * x**k for j in range(BY_SCORE) for k in range(BY_LENGTH)], 1)
            weighed = basis * np.exp(-2 * x)[:, None]
            self._gram += weighed.T @ basis
            self._pull += weighed.T @ seconds[span]
        if len(score) >= 1000:
            self.low, self.high = (float(q) for q in np.quantile(score, [0.002, 0.998]))

    def parabolas(self, length: Floats) -> Floats:
        """float32[3, n]: E[W] = p0 + p1 s + p2 s² of videos of these lengths."""
        ridge = np.diag(PRIOR * np.full(len(self._pull), 1e-2))
        ridge[0, 0] = ridge[BY_LENGTH, BY_LENGTH] = 1.0
        c = np.linalg.solve(self._gram + ridge, self._pull + ridge @ self._prior).reshape(BY_SCORE, BY_LENGTH)
        powers = np.stack([np.power(length.astype(np.float64), k) for k in range(BY_LENGTH)])
        return np.ascontiguousarray(c @ powers, np.float32)


@njit(cache=True, nogil=True)
def expected(parabolas: Floats, item: int, score: float, low: float, high: float) -> Any:
    """Seconds of one video at a score."""
    s = min(max(np.float32(score), np.float32(low)), np.float32(high))
    return max(parabolas[0, item] + s * (parabolas[1, item] + s * parabolas[2, item]), np.float32(LEAST_S))
