"""Fit calibrators on rows that the model did not learn from: the newest of the training log, never the test.

Rows that were down-sampled weigh 1 / the chance they were kept with, so what comes out is right for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.metrics.calibrators import Calibrator, Isotonic, Platt, Shifts, logit, sigmoid

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]
STEPS, ENOUGH = 50, 1e-10  # of Newton's method
LARGEST_STEP = 5.0  # of a shift, so that a first step from far away cannot overshoot


class CalibrationConfig(Config, frozen=True):
    """Section ``[rank.calibration]``."""

    kind: Annotated[
        Literal["none", "platt", "isotonic", "bucket"],
        Meta(description="platt: a line on the logit; isotonic: a rising curve; bucket: a shift for each bucket of by"),
    ] = "none"
    share: Annotated[
        float, Meta(gt=0, lt=1, description="newest share of the training requests, held out to calibrate on")
    ] = 0.1
    by: Annotated[
        str, Meta(description="kind bucket: item.duration_s, item.topic, or an attribute as item.NAME or user.NAME")
    ] = "item.duration_s"
    n_buckets: Annotated[int, Meta(ge=1, le=1000, description="buckets of by, beside the one for unknown")] = 10
    prior_count: Annotated[
        float, Meta(ge=0, description="strength, in rows, with which a bucket is pulled to the shift of all rows")
    ] = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Held-out rows of one head: labels 0 or 1, probabilities, weights and buckets, [n] each."""

    labels: Doubles
    probs: Doubles
    weight: Doubles
    bucket: NDArray[np.int64]

    @staticmethod
    def of(labels: Numbers, probs: Numbers, weight: Numbers | None = None, bucket: Numbers | None = None) -> Observed:
        """Rows whose label and probability are known; NaN is missing.

        Raises:
            DataError: lengths differ, a label is neither 0 nor 1, a probability outside [0, 1], a weight below 0.
        """
        y, p = np.asarray(labels, np.float64), np.asarray(probs, np.float64)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        b = np.zeros(len(y), np.int64) if bucket is None else np.asarray(bucket, np.int64)
        if not len(y) == len(p) == len(w) == len(b):
            lengths = [len(x) for x in (y, p, w, b)]
            raise DataError(f"labels, probabilities, weights and buckets of lengths {lengths}", "one of each per row")
        known = ~(np.isnan(y) | np.isnan(p)) & (w > 0)
        if not (np.isfinite(w) & (w >= 0)).all():
            raise DataError("weights below 0 or not finite", "1 / the chance a row was kept with")
        y, p = y[known], p[known]
        if not np.isin(y, (0, 1)).all():
            raise DataError(f"labels {np.unique(y)[:5].tolist()}", "0 and 1")
        if ((p < 0) | (p > 1)).any():
            raise DataError(f"probabilities from {p.min()} to {p.max()}", "0 to 1", "apply the sigmoid to logits first")
        return Observed(y, p, w[known], b[known])

    @property
    def has_both(self) -> bool:
        """Whether there are positives and negatives: with one class alone there is nothing to fit."""
        return bool(len(self.labels) and self.labels.min() < self.labels.max())


def fit(config: CalibrationConfig, rows: Observed, n_buckets: int = 0) -> Calibrator | None:
    """The calibrator of one head; none where the config asks for none, or the rows are all of one class."""
    if config.kind == "none" or not rows.has_both:
        return None
    if config.kind == "platt":
        return fit_platt(rows)
    if config.kind == "isotonic":
        return fit_isotonic(rows)
    return fit_shifts(rows, n_buckets, config.prior_count)


def fit_platt(rows: Observed) -> Platt:
    """Weighted logistic regression on the logit, by Newton's method with steps halved until they help.

    The slope has a normal prior of mean 1 and deviation 1: predictions that hardly differ say nothing of it. A slope of
    0 or less would turn the order round; then only the intercept is fitted.
    """
    z = np.column_stack([logit(rows.probs), np.ones(len(rows.probs))])
    shifted = float(fit_shifts(rows, 0, 0.0).shift[0])
    theta, sign = np.array([1.0, shifted]), 1 - 2 * rows.labels

    def loss(at: Doubles) -> float:
        return float(rows.weight @ np.logaddexp(0, sign * (z @ at)) + 0.5 * (at[0] - 1) ** 2)

    before = loss(theta)
    for _ in range(STEPS):
        p = sigmoid(z @ theta)
        gradient = z.T @ (rows.weight * (p - rows.labels)) + np.array([theta[0] - 1, 0.0])
        curvature = (z * (rows.weight * p * (1 - p))[:, None]).T @ z + np.diag([1.0, 1e-9])
        step = np.linalg.solve(curvature, gradient)
        while (after := loss(theta - step)) > before and np.abs(step).max() > ENOUGH:
            step = step / 2
        if after >= before:
            break
        theta, before = theta - step, after
    return Platt(*theta.tolist()) if theta[0] > 0 else Platt(1.0, shifted)


def fit_shifts(rows: Observed, n_buckets: int, prior_count: float) -> Shifts:
    """For each bucket the shift of the logit with which its mean prediction is its mean label.

    A bucket is pulled towards the shift of all rows as by ``prior_count`` rows more, so one without rows has that.
    """
    everywhere = np.zeros(len(rows.labels), np.int64)
    overall = _newton(rows, everywhere, 1, np.zeros(1), np.zeros(1))
    if n_buckets == 0:
        return Shifts(overall)
    p = sigmoid(logit(rows.probs) + overall[0])
    prior = prior_count * float(np.average(p * (1 - p), weights=rows.weight))
    n = n_buckets + 1
    return Shifts(_newton(rows, rows.bucket, n, np.full(n, overall[0]), np.full(n, max(prior, 1e-9))))


def _newton(rows: Observed, bucket: NDArray[np.int64], n: int, start: Doubles, pull: Doubles) -> Doubles:
    """float64[n] shifts: the minimum of log loss + pull / 2 (shift - start)² of each bucket."""
    z, shift = logit(rows.probs), start.copy()
    for _ in range(STEPS):
        p = sigmoid(z + shift[bucket])
        gradient = np.bincount(bucket, rows.weight * (p - rows.labels), n) + pull * (shift - start)
        curvature = np.bincount(bucket, rows.weight * p * (1 - p), n) + pull
        step = np.clip(gradient / np.maximum(curvature, 1e-12), -LARGEST_STEP, LARGEST_STEP)
        shift = shift - step
        if np.abs(step).max() < ENOUGH:
            break
    return shift


def fit_isotonic(rows: Observed) -> Isotonic:
    """Pool adjacent violators: each block says its mean label, from its least prediction to its largest.

    Within a block the curve rises by a hundredth of what separates the blocks, and straight from one block to the next,
    so that no two candidates become equal. A first block without positives and a last one without negatives say what
    half a row would, never 0 or 1.
    """
    x, first = np.unique(rows.probs, return_inverse=True)
    weight = np.asarray(np.bincount(first, rows.weight), np.float64)
    rate = np.asarray(np.bincount(first, rows.weight * rows.labels) / weight, np.float64)
    start = pooled(rate, weight)
    n = np.add.reduceat(weight, start)
    height = np.add.reduceat(weight * rate, start) / n
    if height[0] <= 0:
        height[0] = min(0.5 / (n[0] + 1), height[1] / 2)
    if height[-1] >= 1:
        height[-1] = 1 - min(0.5 / (n[-1] + 1), (1 - height[-2]) / 2)
    gap = np.diff(np.r_[0.0, height, 1.0])
    tilt = 0.01 * np.minimum(gap[:-1], gap[1:])
    low, high = x[start], x[np.r_[start[1:] - 1, len(x) - 1]]
    at = np.r_[0.0, np.column_stack([low, high]).ravel(), 1.0]
    value = np.column_stack([height - tilt * (high > low), height + tilt * (high > low)]).ravel()
    curve = np.r_[height[0] - 2 * tilt[0], value, height[-1] + 2 * tilt[-1]]
    kept = np.r_[True, np.diff(at) > 0]  # a block of one prediction is one point; so is one at 0 or 1
    return Isotonic(at[kept], curve[kept])


def pooled(value: Doubles, weight: Doubles) -> NDArray[np.int64]:
    """int64[K]: where the blocks begin, within which the weighted mean of ``value`` makes the best rising fit.

    Means of the blocks rise strictly. Linear in the length after sorting (Ayer et al. 1955).
    """
    means: list[float] = []
    sizes: list[float] = []
    starts: list[int] = []
    for i, (v, w) in enumerate(zip(value.tolist(), weight.tolist(), strict=True)):
        means.append(v)
        sizes.append(w)
        starts.append(i)
        while len(means) > 1 and means[-2] >= means[-1]:
            v, w = means.pop(), sizes.pop()
            starts.pop()
            total = sizes[-1] + w
            means[-1] = (means[-1] * sizes[-1] + v * w) / total
            sizes[-1] = total
    return np.array(starts, np.int64)
