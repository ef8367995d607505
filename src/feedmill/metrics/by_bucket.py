"""One head's metrics bucket by bucket of any column, with intervals: where is it right, and where not?

Intervals resample users (rows, where there are none), for the rows of one user are not independent; every metric is
computed anew from each resample's weights. n rows, K buckets, S resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.calibration import reliability
from feedmill.metrics.classification import EPSILON, auc_by_group
from feedmill.metrics.intervals import Interval

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]
CHUNK = 8_000_000  # weights held at once


class BucketMetrics(NamedTuple):
    """One line of the table. NaN where a metric does not apply: AUC, GAUC and NE with one class, PCOC with no positive.

    Attributes:
        name: of the bucket.
        n, n_positive: rows, and those with label 1.
        ne: normalised entropy, against the bucket's own rate.
        pcoc: mean prediction over mean label.
    """

    name: str
    n: int
    n_positive: int
    log_loss: Interval
    ne: Interval
    auc: Interval
    gauc: Interval
    ece: Interval
    pcoc: Interval


METRICS = BucketMetrics._fields[3:]


def by_bucket(
    labels: Numbers,
    probs: Numbers,
    bucket: Numbers,
    *,
    user: Numbers | None = None,
    names: Sequence[str] = (),
    weight: Numbers | None = None,
    seed: int = 0,
    n_resamples: int = 200,
    level: float = 0.95,
    n_bins: int = 10,
) -> list[BucketMetrics]:
    """A line for each bucket that has rows, and one for "all" first.

    Args:
        labels: [n] of 0 and 1; a row whose label or probability is NaN is left out.
        probs: [n] in [0, 1].
        bucket: int[n], from 0.
        user: int[n]; without it GAUC is NaN.
        names: of the buckets, by number; without them their numbers.
        weight: [n] row weights, such as 1 / the chance a row was kept with.
        n_bins: of the calibration error; its buckets of equal size are those of all resamples.

    Raises:
        DataError: lengths differ, labels are not 0 and 1, probabilities outside [0, 1], ``level`` not inside (0, 1).
    """
    known = ~(np.isnan(np.asarray(labels, np.float64)) | np.isnan(np.asarray(probs, np.float64)))
    n = len(labels)
    w = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    u = np.full(n, -1) if user is None else np.asarray(user)
    columns = [np.asarray(labels, np.float64), np.asarray(probs, np.float64), np.asarray(bucket), u, w]
    if len({len(c) for c in columns}) > 1:
        raise DataError(f"columns of lengths {[len(c) for c in columns]}", "one entry of each per row")
    y, p, b, u, w = (c[known] for c in columns)
    if not np.isin(y, (0, 1)).all():
        raise DataError(f"labels {np.unique(y)[:5].tolist()}", "0 and 1")
    if ((p < 0) | (p > 1)).any():
        raise DataError(f"probabilities from {p.min()} to {p.max()}", "0 to 1", "apply the sigmoid to logits first")
    if not 0 < level < 1:
        raise DataError(f"level {level}", "between 0 and 1, such as 0.95")
    parts = [("all", np.ones(len(b), np.bool_))] if len(b) else []
    parts += [(names[k] if k < len(names) else str(k), b == k) for k in np.unique(b).tolist()]
    has_users = user is not None
    return [
        _line(name, y[at], p[at], u[at] if has_users else None, w[at], (seed, n_resamples, level, n_bins))
        for name, at in parts
    ]


def _line(
    name: str, y: Doubles, p: Doubles, user: Numbers | None, w: Doubles, how: tuple[int, int, float, int]
) -> BucketMetrics:
    seed, n_resamples, level, n_bins = how
    rows = _Rows(y, p, user, w, n_bins)
    point = rows.metrics(np.ones((1, rows.n_units)))[0]
    draw, drawn = rng(seed, "by bucket", name), []
    step = max(1, CHUNK // max(len(y), 1))
    for at in range(0, n_resamples, step):
        times = draw.multinomial(rows.n_units, np.full(rows.n_units, 1 / rows.n_units), min(step, n_resamples - at))
        drawn.append(rows.metrics(times.astype(np.float64)))
    resampled = np.concatenate(drawn) if drawn else np.empty((0, len(METRICS)))
    found = [_interval(point[m], resampled[:, m], level, rows.n_units) for m in range(len(METRICS))]
    return BucketMetrics(name, len(y), int(y.sum()), *found)


def _interval(value: float, drawn: Doubles, level: float, n: int) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Interval(float(value), float("nan"), float("nan"), n)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), n)


class _Rows:
    """Rows sorted by prediction, with what the weights of a resample are multiplied with."""

    def __init__(self, y: Doubles, p: Doubles, user: Numbers | None, w: Doubles, n_bins: int) -> None:
        by = np.argsort(p, kind="stable")
        self.y, self.p, self.w = y[by], p[by], w[by]
        self.unit = np.arange(len(y)) if user is None else np.unique(user, return_inverse=True)[1][by]
        self.n_units = int(self.unit.max(initial=-1)) + 1
        clipped = np.clip(self.p, EPSILON, 1 - EPSILON)
        self.loss = -(self.y * np.log(clipped) + (1 - self.y) * np.log1p(-clipped))
        self.tied = np.flatnonzero(np.r_[True, self.p[1:] != self.p[:-1]])
        self.bins = np.cumsum(np.r_[0, reliability(self.y, self.p, n_bins).n[:-1]])
        self.groups = None if user is None else auc_by_group(self.unit, self.y, self.p)

    def metrics(self, times: Doubles) -> Doubles:
        """float64[S, 6] in the order of ``METRICS``, each unit counting float64[S, U] times."""
        w = times[:, self.unit] * self.w
        total, positive = w.sum(axis=1), w @ self.y
        with np.errstate(invalid="ignore", divide="ignore"):
            rate, loss = positive / total, (w @ self.loss) / total
            entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
            ne = np.where((rate > 0) & (rate < 1), loss / entropy, np.nan)
            gap = np.add.reduceat(w * (self.p - self.y), self.bins, axis=1)
            ece = np.abs(gap).sum(axis=1) / total
            pcoc = np.where(positive > 0, (w @ self.p) / positive, np.nan)
        return np.column_stack([loss, ne, self._auc(w), self._gauc(times), ece, pcoc])

    def _auc(self, w: Doubles) -> Doubles:
        """Weighted pairs in order, ties half, over all pairs."""
        positive = np.add.reduceat(w * self.y, self.tied, axis=1)
        negative = np.add.reduceat(w * (1 - self.y), self.tied, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = positive.sum(axis=1) * negative.sum(axis=1)
            return np.asarray(np.where(pairs > 0, (positive * below).sum(axis=1) / pairs, np.nan), np.float64)

    def _gauc(self, times: Doubles) -> Doubles:
        """Users' own AUC, weighed by rows; a resampled user counts as often as drawn."""
        if self.groups is None or not len(self.groups.n):
            return np.full(len(times), np.nan)
        n = times[:, self.groups.group] * self.groups.n
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((n @ self.groups.auc) / n.sum(axis=1), np.float64)


def edges_of(values: Numbers, n_buckets: int) -> Doubles:
    """float64[K + 1] ends of ranges with about equally many values; K is less where values repeat or are few.

    No ranges (K = 0) where no value is finite.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_buckets + 1), method="higher"))
    return edges if len(edges) > 1 else np.r_[edges, edges]


def in_ranges(values: Numbers, edges: Doubles) -> NDArray[np.int64]:
    """int64[n]: 1..K, the range of each value (below the first edge is in the first, from the last on in the last);
    0 where it is not finite or there are no ranges."""
    v = np.asarray(values, np.float64)
    n_ranges = max(len(edges) - 1, 0)
    if n_ranges == 0:
        return np.zeros(len(v), np.int64)
    at = np.clip(np.searchsorted(edges, v, side="right"), 1, n_ranges)
    return np.where(np.isfinite(v), at, 0).astype(np.int64)
