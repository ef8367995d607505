"""The table of one task: every head's figures, what theory says of them, and which differences are significant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from feedmill.cli.bench.watch_time.cost import served_ms
from feedmill.cli.bench.watch_time.known import NAME as KNOWN
from feedmill.cli.bench.watch_time.known import cells
from feedmill.cli.bench.watch_time.runs import Budget, Run, run
from feedmill.cli.bench.watch_time.significance import N_DRAWS, N_QUICK, Judge, Measured, differences
from feedmill.cli.bench.watch_time.task import Task
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.metrics.rows import BenchRow

COMPARED = {"MAE": min, "RMSE": min, "XAUC": max, "XAUC per user": max}  # what is best
TIMING = "ms per 1,000 rows"
ON_VALIDATION = ("XAUC", "PCOC", "MAE")
DEFAULT = "default"  # the row that names the head chosen on validation

Block = Mapping[str, Any]
ByMetric = dict[str, dict[str, Measured]]  # metric, then head


def task_rows(task: Task, variants: Mapping[str, Block], quick: bool) -> list[BenchRow]:
    """All rows of one task; a head that cannot be trained on it has a row that says why."""
    from feedmill.train.loop import threads

    budget, n_draws = Budget.of(quick, task), N_QUICK if quick else N_DRAWS
    lengths = task.train.duration
    judges = [Judge(part, lengths, budget.n_seeds, n_draws) for part in (task.test, task.validation)]
    rows, test, validation = [], ByMetric(), ByMetric()
    trained: dict[str, Block] = {}
    with threads(1):
        for name, block in variants.items():
            console.print(f"{task.name}: {name}", markup=False)
            try:
                done = run(block, task, budget)
            except DataError as e:
                rows.append(_row(task, name, "not measured", float("nan"), str(e).replace("\n", "; ")))
                continue
            trained[name] = block
            is_seconds = done.gives == "seconds"
            for found, judge, said in ((test, judges[0], done.test), (validation, judges[1], done.validation)):
                for metric, measured in judge(said, is_seconds=is_seconds).items():
                    found.setdefault(metric, {})[name] = measured
            rows += list(_of_head(task, name, done, block, test, validation))
        rows += list(_compared(task, test, validation))
        for name, ms in served_ms(trained, task, 10 if quick else 100).items():
            low, middle, high = (float(x) for x in np.percentile(ms, [25, 50, 75]))
            rows.append(_row(task, name, TIMING, middle, f"ms, median and quarters of {len(ms)}", low, high))
    return rows


def default_of(validation: ByMetric) -> str:
    """The best order on the validation rows among the heads whose PCOC there does not rule out 1; "" = there is none.

    What is fused with other values must be seconds on average, what is sorted must be in order.
    """
    fits = [name for name, m in validation.get("PCOC", {}).items() if m.interval[0] <= 1 <= m.interval[1]]
    return max(fits, key=lambda name: validation["XAUC"][name].value, default="")


def _of_head(
    task: Task, name: str, done: Run, block: Block, test: ByMetric, validation: ByMetric
) -> Iterator[BenchRow]:
    unit = f"mean of {len(done.test)} seeds, 95 % over users and seeds"
    for metric, by_head in test.items():
        if name in by_head:
            yield _row(task, name, metric, by_head[name].value, unit, *by_head[name].interval)
    for metric in ON_VALIDATION:
        measured = validation.get(metric, {}).get(name)
        if measured is not None:
            yield _row(task, name, f"{metric}, validation", measured.value, unit, *measured.interval)
    yield _row(task, name, "parameters", done.weights, "weights above the embeddings")
    chosen = done.choice.fitting
    tried = "; ".join(f"{way}: {x:.4f}" for way, x in done.choice.tried.items())
    yield _row(task, name, "learning rate", chosen["learning_rate"], f"XAUC on validation at {tried}")
    yield _row(task, name, "epochs", chosen["epochs"], "")
    if task.name == KNOWN and done.gives == "seconds":
        yield _row(task, name, "theory ratio", theory(block, task), "at the least expected loss, of the true mean")


def theory(block: Block, task: Task) -> float:
    """Seconds that a head says of all cells of the generated log at its minimum, over what is true."""
    from feedmill.train.rank.watch_time import at_minimum

    drawn, duration = cells()
    said = at_minimum(block, task.train.seconds, task.train.duration, drawn, duration)
    return float(said.mean() / drawn.mean())


def _compared(task: Task, test: ByMetric, validation: ByMetric) -> Iterator[BenchRow]:
    """Each head against the best one of each metric, and against the default."""
    default = default_of(validation)
    if default:
        m = validation["XAUC"][default]
        yield _row(task, DEFAULT, "XAUC, validation", m.value, default, *m.interval)
    for metric, best_of in COMPARED.items():
        by_head = test.get(metric, {})
        if not by_head:
            continue
        best = best_of(by_head, key=lambda name: by_head[name].value)
        for against in dict.fromkeys([best, default]):
            if against in by_head:
                for name, d in differences(by_head, against).items():
                    unit = f"p = {d.p:.4f} after Holm, of {len(by_head) - 1} comparisons"
                    yield _row(task, f"{name} - {against}", metric, d.value, unit, d.low, d.high)


def _row(
    task: Task, name: str, metric: str, value: float, unit: str, low: float | None = None, high: float | None = None
) -> BenchRow:
    return BenchRow(
        what=f"{task.name}: {name}",
        metric=metric,
        value=float(value),
        low=low,
        high=high,
        unit=unit,
        split=task.split,
    )
