"""How good are predicted seconds? Error, order and calibration, of all rows and user by user. n rows, U users.

Every figure has a form in weights: ``SecondsRows.metrics`` gives all of them anew for users drawn with repetition, so
that intervals resample users, whose rows are not independent, and two models can be compared on the same draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.intervals import Interval
from feedmill.metrics.xauc import by_label, check, pairs_in_order, xauc_by_user

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

METRICS = ("MAE", "RMSE", "XAUC", "XAUC per user", "PCOC", "slope")


def mae(actual: Numbers, predicted: Numbers, weight: Numbers | None = None) -> float:
    """Mean absolute error in seconds; the constant that makes it least is the median, not the mean. NaN without rows.

    Args:
        actual: [n] seconds watched.
        predicted: [n] seconds.
        weight: [n] optional row weights.

    Raises:
        DataError: lengths differ, or a number is not finite.
    """
    return _mean(np.abs(_error(actual, predicted)), weight)


def rmse(actual: Numbers, predicted: Numbers, weight: Numbers | None = None) -> float:
    """Root of the mean squared error in seconds; the mean makes it least. See ``mae``."""
    return float(np.sqrt(_mean(_error(actual, predicted) ** 2, weight)))


def slope(actual: Numbers, predicted: Numbers, weight: Numbers | None = None) -> float:
    """Calibration slope: of the line fitted by least squares to seconds watched over predictions.

    1 where a second more of prediction means a second more of watching; below 1 predictions are spread too wide, above
    1 too little. It does not see a constant that is added, PCOC does. Cox 1958. NaN where all predictions are equal.
    """
    check(actual, predicted)
    w = np.ones(len(actual)) if weight is None else np.asarray(weight, np.float64)
    y, p = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    sums = np.array([[w.sum(), w @ p, w @ y, w @ (p * p), w @ (p * y)]])
    return float(_slope(*sums.T)[0])


class SecondsRows:
    """The rows that one model is measured on, ready to be weighed by any resample of users.

    Args:
        actual: [n] seconds watched.
        predicted: [n] seconds.
        user: int[n].
        bucket: int[n] from 0, such as the fifth of duration, -1 = none; PCOC is given for each of ``n_buckets`` too.

    Attributes:
        names: of the metrics M: ``METRICS``, then "PCOC fifth 1" … by bucket.
        n_users: U, distinct users; a resample's columns are theirs, ascending.

    Raises:
        DataError: lengths differ, a number is not finite, or there are no rows.
    """

    def __init__(
        self,
        actual: Numbers,
        predicted: Numbers,
        user: Numbers,
        bucket: Numbers | None = None,
        n_buckets: int = 5,
        bucket_name: str = "fifth",
    ) -> None:
        check(actual, predicted)
        if not len(actual) or len(user) != len(actual):
            raise DataError(f"{len(actual)} rows of {len(user)} users", "rows, and one user for each")
        self._y, self._p = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
        self._unit = np.unique(user, return_inverse=True)[1].astype(np.int64)
        self.n_users = int(self._unit.max()) + 1
        self._by, self._sorted = np.argsort(actual, kind="stable"), by_label(actual, predicted)
        per = xauc_by_user(self._unit, actual, predicted)
        self._own_xauc, self._own_n = np.zeros(self.n_users), np.zeros(self.n_users)
        self._own_xauc[per.user], self._own_n[per.user] = per.xauc, per.n
        of = np.full(len(actual), -1) if bucket is None else np.asarray(bucket)
        self._n_buckets = 0 if bucket is None else n_buckets
        self.names = (*METRICS, *(f"PCOC {bucket_name} {k + 1}" for k in range(self._n_buckets)))
        self._sums = self._of_users(of)

    def _of_users(self, bucket: Numbers) -> Doubles:
        """float64[U, 7 + 2 K]: what each user adds to the sums that all metrics but the order of pairs are made of."""
        y, p, e = self._y, self._p, self._p - self._y
        columns = [np.ones(len(y)), np.abs(e), e * e, p, y, p * p, p * y]
        for k in range(self._n_buckets):
            columns += [np.where(bucket == k, p, 0.0), np.where(bucket == k, y, 0.0)]
        return np.column_stack([np.bincount(self._unit, c, self.n_users) for c in columns])

    def metrics(self, times: Numbers | None = None) -> Doubles:
        """float64[S, M], each user counting float64[S, U] times (None: once, S = 1); NaN where one does not apply."""
        drawn = np.ones((1, self.n_users)) if times is None else np.asarray(times, np.float64)
        if drawn.ndim != 2 or drawn.shape[1] != self.n_users:
            raise DataError(f"resamples of shape {drawn.shape}", f"[S, {self.n_users}], a column for each user")
        sums = drawn @ self._sums
        n, absolute, squared, p, y, pp, py = sums.T[:7]
        own = drawn * self._own_n
        with np.errstate(invalid="ignore", divide="ignore"):
            per_user = (own @ self._own_xauc) / own.sum(axis=1)
            columns = [absolute / n, np.sqrt(squared / n), self._xauc(drawn), per_user, _over(p, y)]
            columns.append(_slope(n, p, y, pp, py))
        columns += [_over(sums[:, 7 + 2 * k], sums[:, 8 + 2 * k]) for k in range(self._n_buckets)]
        return np.column_stack(columns)

    def _xauc(self, drawn: Doubles) -> Doubles:
        unit = self._unit[self._by]
        found = np.array([pairs_in_order(*self._sorted, times[unit]) for times in drawn])
        return _over(found[:, 0], found[:, 1])

    def intervals(self, times: Numbers, level: float = 0.95) -> dict[str, Interval]:
        """Each metric with the percentiles of its resamples."""
        point, drawn = self.metrics()[0], self.metrics(times)
        return {name: _interval(point[m], drawn[:, m], level, self.n_users) for m, name in enumerate(self.names)}


def resamples(n_users: int, n_resamples: int, seed: int) -> Doubles:
    """float64[S, U]: how often each of U users is drawn, U draws with repetition. The same seed gives the same."""
    draw = rng(seed, "watch time", "users")
    return draw.multinomial(n_users, np.full(n_users, 1 / n_users), n_resamples).astype(np.float64)


def _interval(value: float, drawn: Doubles, level: float, n: int) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Interval(float(value), float("nan"), float("nan"), n)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), n)


def _slope(n: Doubles, p: Doubles, y: Doubles, pp: Doubles, py: Doubles) -> Doubles:
    """From sums of weights, predictions, seconds, squares and products; what rounding leaves of no spread is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = pp / n - (p / n) ** 2
        together = py / n - (p / n) * (y / n)
        return np.asarray(np.where(spread > 1e-12 * (pp / n), together / spread, np.nan), np.float64)


def _over(above: Doubles, below: Doubles) -> Doubles:
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out


def _error(actual: Numbers, predicted: Numbers) -> Doubles:
    check(actual, predicted)
    return np.asarray(predicted, np.float64) - np.asarray(actual, np.float64)


def _mean(values: Doubles, weight: Numbers | None) -> float:
    return float(np.average(values, weights=weight)) if len(values) else float("nan")
