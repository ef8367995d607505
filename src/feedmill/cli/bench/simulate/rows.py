"""Figures over worlds, over people, and in parts, as rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from feedmill.metrics.intervals import Interval
from feedmill.metrics.rows import BenchRow


def over(what: str, metric: str, values: Sequence[float], unit: str = "", of: str = "worlds") -> BenchRow:
    """The mean with its 95 % interval by Student's t; of one value alone there is no interval."""
    x = np.asarray(values, np.float64)
    x, split = x[np.isfinite(x)], f"{len(values)} {of}"
    mean = float(x.mean()) if len(x) else None
    if mean is None or len(x) < 2:
        return BenchRow(
            what=what, metric=metric, value=mean if mean is not None else float("nan"), unit=unit, split=split
        )
    half = float(stats.t.isf(0.025, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    words = f"{unit}; 95 % over {of}".removeprefix("; ")
    return BenchRow(what=what, metric=metric, value=mean, low=mean - half, high=mean + half, unit=words, split=split)


def bounded(what: str, metric: str, x: Interval, unit: str = "", *, less: float = 0.0, times: float = 1.0) -> BenchRow:
    """A figure with the bootstrap's interval; ``less`` is taken off and what is left multiplied."""
    value, low, high = (times * (v - less) for v in (x.mean, x.low, x.high))
    return BenchRow(what=what, metric=metric, value=value, low=low, high=high, unit=unit)


def plain(what: str, metric: str, value: float, unit: str = "") -> BenchRow:
    """A figure without an interval."""
    return BenchRow(what=what, metric=metric, value=value, unit=unit)
