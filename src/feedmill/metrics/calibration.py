"""Do predictions mean what they say? Of probabilities, counts or seconds. n rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Numbers = NDArray[Any]


class Reliability(NamedTuple):
    """Rows in K buckets by prediction: mean predicted and actual float64[K], rows in each int64[K]."""

    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]
    n: NDArray[np.int64]


def pcoc(actual: Numbers, predicted: Numbers, weight: Numbers | None = None) -> float:
    """Predicted over actual: mean prediction divided by mean outcome; 1 is calibrated, above 1 reads high.

    NaN where nothing happened.

    Args:
        actual: [n] labels, counts or seconds.
        predicted: [n] in the same unit.
        weight: [n] optional row weights.

    Raises:
        DataError: lengths differ, or a prediction is not finite.
    """
    _check(actual, predicted)
    if len(actual) == 0:
        return float("nan")
    truth = np.average(np.asarray(actual, np.float64), weights=weight)
    said = np.average(np.asarray(predicted, np.float64), weights=weight)
    return float(said / truth) if truth else float("nan")


def reliability(actual: Numbers, predicted: Numbers, n_bins: int = 10) -> Reliability:
    """The reliability diagram: rows sorted by prediction in ``n_bins`` buckets of equal size.

    Equal predictions never straddle two buckets, so there may be fewer; every bucket has rows.
    """
    _check(actual, predicted)
    by = np.argsort(predicted, kind="stable")
    p, y = np.asarray(predicted, np.float64)[by], np.asarray(actual, np.float64)[by]
    if len(p) == 0:
        return Reliability(p, y, np.empty(0, np.int64))
    edges = p[(np.arange(1, n_bins) * len(p)) // n_bins]
    first = np.unique(np.r_[0, np.searchsorted(p, edges, side="left")])
    n = np.diff(np.r_[first, len(p)])
    return Reliability(np.add.reduceat(p, first) / n, np.add.reduceat(y, first) / n, n.astype(np.int64))


def ece(labels: Numbers, probs: Numbers, n_bins: int = 10) -> float:
    """Expected calibration error: mean |predicted - actual| over buckets of equal size, weighted by rows.

    Naeini et al. 2015, with equal-frequency buckets: rates in a feed are small, and buckets of equal width
    would put nearly every row in the first. NaN without rows.
    """
    table = reliability(labels, probs, n_bins)
    if len(table.n) == 0:
        return float("nan")
    return float(np.average(np.abs(table.predicted - table.actual), weights=table.n))


def _check(actual: Numbers, predicted: Numbers) -> None:
    if len(actual) != len(predicted):
        raise DataError(f"{len(actual)} outcomes for {len(predicted)} predictions", "one of each per row")
    if not np.isfinite(predicted).all():
        raise DataError(f"{int((~np.isfinite(predicted)).sum())} predictions are not finite", "numbers")
