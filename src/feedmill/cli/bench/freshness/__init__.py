"""Is it worth learning on? Four ways to keep a ranker on a log that drifts, several logs each.

Every way says what it thinks of every impression before it learns of it (progressive validation, Blum et al. 1999), so
nothing is measured on what was learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.freshness.runs import BOTH, N_DAYS, PARTS, WAYS, Run, run
from feedmill.cli.bench.freshness.world import Drift
from feedmill.core.progress import progress
from feedmill.metrics.calibration import reliability
from feedmill.metrics.classification import auc, normalized_entropy
from feedmill.metrics.rows import BenchRow

Doubles = NDArray[np.float64]
WHAT = "freshness"
TRUTH = "the true chances"
TENTHS = 10
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # Student's, for 1 to 9 degrees of freedom


def freshness_rows(quick: bool) -> list[BenchRow]:
    """NE of every way, by day and over all, the differences between them, calibration by tenths, and speed."""
    n_seeds, n_days = (2, 4) if quick else (10, N_DAYS)
    runs = []
    with progress("living through the days", n_seeds) as advance:
        for seed in range(n_seeds):
            runs.append(run(Drift(), seed, n_days))
            advance(1)
    return [*_quality(runs), *_by_day(runs), *_differences(runs), *_tenths(runs), *_speed(runs)]


def _row(way: str, metric: str, values: Sequence[float] | Doubles, unit: str) -> BenchRow:
    """The mean over logs with its 95 % interval by Student's t."""
    x = np.asarray(values, np.float64)
    half = T_975[len(x) - 2] * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else None
    mean = float(x.mean())
    low, high = (None, None) if half is None else (mean - float(half), mean + float(half))
    split = f"{len(x)} logs"
    return BenchRow(what=f"{WHAT}: {way}", metric=metric, value=mean, low=low, high=high, unit=unit, split=split)


def _said(of: Run, way: str) -> Sequence[NDArray[np.floating]]:
    return of.chance if way == TRUTH else of.said[way].probs


def _over_all(of: Run, way: str) -> float:
    return normalized_entropy(np.concatenate(of.labels), np.concatenate(_said(of, way)))


def _quality(runs: Sequence[Run]) -> list[BenchRow]:
    out = [_row(way, "NE", [_over_all(r, way) for r in runs], "95 % over logs") for way in (*WAYS, *PARTS, TRUTH)]
    for way in (*WAYS, *PARTS):
        found = [auc(np.concatenate(r.labels), np.concatenate(_said(r, way))) for r in runs]
        out.append(_row(way, "AUC", found, "95 % over logs"))
    return out


def _by_day(runs: Sequence[Run]) -> list[BenchRow]:
    out = []
    for way in (*WAYS, TRUTH):
        for day in range(len(runs[0].labels)):
            found = [normalized_entropy(r.labels[day], _said(r, way)[day]) for r in runs]
            out.append(_row(way, f"NE day {day + 1}", found, "95 % over logs"))
    return out


def _differences(runs: Sequence[Run]) -> list[BenchRow]:
    """Each way's NE less that of another on the same log: below 0 is better."""
    pairs = [("nightly", "frozen"), ("incremental", "frozen"), (BOTH, "frozen"), (BOTH, "incremental"),
             *((way, "nightly") for way in ("incremental", BOTH, *PARTS))]  # fmt: skip
    last = max(len(runs[0].labels) - 7, 0)
    out = []
    for a, b in pairs:
        found = [_over_all(r, a) - _over_all(r, b) for r in runs]
        out.append(_row(a, f"NE less {b}", found, "paired, 95 % over logs"))
        late = [
            float(np.mean([normalized_entropy(y, p) - normalized_entropy(y, q)
                           for y, p, q in zip(r.labels[last:], _said(r, a)[last:], _said(r, b)[last:], strict=True)]))
            for r in runs
        ]  # fmt: skip
        out.append(_row(a, f"NE less {b}, last 7 days", late, "paired, 95 % over logs"))
    return out


def _tenths(runs: Sequence[Run]) -> list[BenchRow]:
    """Predicted over actual of each tenth of the rows by prediction; the tenths are those of each log."""
    out = []
    for way in WAYS:
        found = []
        for r in runs:
            of = reliability(np.concatenate(r.labels), np.concatenate(_said(r, way)), TENTHS)
            found.append(of.predicted / np.maximum(of.actual, 1e-9))
        for k, values in enumerate(np.array(found).T):
            out.append(_row(way, f"PCOC tenth {k + 1}", values, "95 % over logs"))
    return out


def _speed(runs: Sequence[Run]) -> list[BenchRow]:
    out = []
    for way in WAYS:
        nights = [s for r in runs for s in r.said[way].night_s]
        rates = [s for r in runs for s in r.said[way].rows_per_s]
        for metric, values, unit in (("full pass", nights, "s"), ("incremental", rates, "rows/s")):
            if values:
                low, high = np.percentile(values, [25, 75]).tolist()
                out.append(BenchRow(what=f"{WHAT}: {way}", metric=metric, value=float(np.median(values)), low=low,
                                    high=high, unit=f"{unit}, p25..p75, n = {len(values)}"))  # fmt: skip
    return out
