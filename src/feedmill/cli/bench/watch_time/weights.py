"""What labels alone say of weighted cross-entropy: its bias in seconds, what its cap cuts off, and its two ways' noise.

Rows are cut into groups of similar duration, and a head is given the best logit of each group: what is off then is the
head's, as far as the duration tells watch times apart, and no training is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.page import NO_FIGURES, Figures
from feedmill.cli.bench.watch_time.runs import VARIANTS
from feedmill.cli.bench.watch_time.task import Task
from feedmill.metrics.rows import BenchRow

Numbers = NDArray[np.float64]

N_GROUPS, N_FIFTHS = 20, 5
LOW = ("WCE 1", "WCE 1, no cap", "WCE 2", "WCE 2, no cap", "WCE 3", "MSE of log", "MSE of power", "fraction")
FACTORS: Mapping[str, Mapping[str, Any]] = {  # what a factor makes of it
    "WCE 1, one factor": {"kind": "wce", "scheme": 1, "repair": "constant"},
    "WCE 1, factor by duration": {"kind": "wce", "scheme": 1, "repair": "duration"},
    "WCE 1, learned factor": {"kind": "wce", "scheme": 1, "repair": "learned"},
}
BIAS = ["PCOC", *(f"PCOC fifth {k + 1}" for k in range(N_FIFTHS))]
CAPPED = ["rows at the cap", "seconds beyond the cap"]
NOISE = "noise of rows"


def weight_rows(task: Task) -> list[BenchRow]:
    """Of the rows a task learns from."""
    t, duration = task.train.seconds.astype(np.float64), task.train.duration
    drawn, lasts = grouped(t, duration)
    rows = []
    for name, block in ({name: VARIANTS[name] for name in LOW} | dict(FACTORS)).items():
        rows += list(_bias(task, name, block, drawn, lasts))
    for scheme in (1, 2, 3):
        w = weights(drawn, scheme)
        rows.append(
            _row(task, f"WCE {scheme}", NOISE, noise(w), "variance of a step's gradient, over that of the loss")
        )
        if scheme < 3:
            most = 2.0 ** (8 - (scheme - 1)) - 1
            at, cut = float((t >= most).mean()), float(np.maximum(t - most, 0).sum() / t.sum())
            rows.append(_row(task, f"WCE {scheme}", CAPPED[0], at, f"share with {most:g} s or more"))
            rows.append(_row(task, f"WCE {scheme}", CAPPED[1], cut, "share of all seconds"))
    return rows


def grouped(t: Numbers, duration: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """float64[G, k] seconds of G groups of similar length and equal size; float64[G] their median, NaN = unknown."""
    by = np.argsort(duration, kind="stable")  # unknown lengths come last
    k = len(by) // N_GROUPS
    by = by[: k * N_GROUPS].reshape(N_GROUPS, k)
    return t[by], np.median(duration[by], axis=1).astype(np.float64)  # NaN where some are unknown


def weights(t: Numbers, scheme: int, cap: float = 8.0) -> Numbers:
    """Of the positive answer, w for seconds t."""
    return t if scheme == 3 else np.minimum(np.log2(1 + t) + (scheme - 1), cap)


def noise(w: Numbers) -> float:
    """How much more a step varies over 2B examples than over the B rows they are made of, at each group's best logit.

    A row's gradient is p - w (1 - p), of variance Var(w) (1 - p)^2. Drawn apart, its two answers do not cancel, which
    adds 2 p^2 on average (the mean of twice p w (1 - p), where w (1 - p) is p on average).

    Args:
        w: float64[G, k] of groups with a logit each.
    """
    odds = w.mean(axis=1)
    p = odds / (1 + odds)
    together = w.var(axis=1) * (1 - p) ** 2
    return float((together + 2 * p**2).mean() / together.mean())


def table(found: Figures, task: str, page: Path) -> str:
    """The block "weights TASK": bias by fifth of the duration, and what the cap does."""
    cells: dict[str, dict[str, float]] = {}
    for row in found:
        of, _, name = row["what"].partition(": ")
        if of == f"labels of {task}":
            cells.setdefault(name, {})[row["metric"]] = row["value"]
    if not cells:
        return NO_FIGURES
    titles = ["read of the mean", "shortest fifth", "2", "3", "4", "longest fifth", *CAPPED, "noise of rows / loss"]
    lines = [f"| | {' | '.join(titles)} |", "|---|" + "---:|" * len(titles)]
    for name, by_metric in cells.items():
        shown = [_shown(metric, by_metric) for metric in (*BIAS, *CAPPED, NOISE)]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(metric: str, by_metric: Mapping[str, float]) -> str:
    if metric not in by_metric:
        return ""
    return f"{by_metric[metric]:.2%}" if metric in CAPPED else f"{by_metric[metric]:.2f}"


def _bias(task: Task, name: str, block: Mapping[str, Any], drawn: Numbers, lasts: Numbers) -> Iterator[BenchRow]:
    from feedmill.train.rank.watch_time import at_minimum

    said = at_minimum(block, task.train.seconds, task.train.duration, drawn, lasts)
    fifth, true = np.arange(len(said)) * N_FIFTHS // len(said), drawn.mean(axis=1)
    unit = "seconds at the best logit of each of twenty lengths, over the mean"
    for metric, rows in zip(BIAS, [fifth >= 0, *(fifth == k for k in range(N_FIFTHS))], strict=True):
        yield _row(task, name, metric, float(said[rows].sum() / true[rows].sum()), unit)


def _row(task: Task, name: str, metric: str, value: float, unit: str) -> BenchRow:
    return BenchRow(what=f"labels of {task.name}: {name}", metric=metric, value=value, unit=unit, split=task.split)
