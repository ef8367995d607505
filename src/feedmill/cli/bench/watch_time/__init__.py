"""Every watch-time head on one trunk, one split and one budget, `feedmill bench watch-time`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from feedmill.cli.bench.watch_time.known import CLICKS, clicks
from feedmill.cli.bench.watch_time.runs import OF_CLICKS, VARIANTS
from feedmill.cli.bench.watch_time.table import task_rows
from feedmill.cli.bench.watch_time.task import NAMES
from feedmill.cli.bench.watch_time.weights import weight_rows
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.metrics.rows import BenchRow


def watch_time_rows(quick: bool, data: Path | None = None, only: Sequence[str] = ()) -> list[BenchRow]:
    """The table of each task whose data are there.

    Args:
        quick: fewer rows, seeds and draws, one learning rate.
        data: the folder of real data.
        only: names of tasks or heads; none of a kind = all of them.

    Raises:
        DataError: a name that is nothing.
    """
    from feedmill.cli.bench.watch_time.tasks import tasks

    wanted, variants = chosen(only)
    rows: list[BenchRow] = []
    clicked = [clicks(quick)] if CLICKS in wanted else []
    for task in chain(tasks(data, quick, [name for name in wanted if name != CLICKS]), clicked):
        parts = ", ".join(f"{len(part):,}" for part in (task.train, task.validation, task.test))
        console.print(f"{task.name}: {parts} rows, {task.split}", markup=False)
        some = {name: block for name, block in variants.items() if task.name != CLICKS or name in OF_CLICKS}
        rows += task_rows(task, some, quick)
        if variants is VARIANTS and task.name != CLICKS:
            rows += weight_rows(task)
    return rows


def chosen(only: Sequence[str]) -> tuple[list[str], Mapping[str, Mapping[str, Any]]]:
    """The tasks and the heads that were asked for.

    Raises:
        DataError: a name that is nothing.
    """
    places = [*NAMES, CLICKS]
    known = [*places, *VARIANTS]
    for name in only:
        if name not in known:
            expected = f"a task of {places} or a head of {list(VARIANTS)}"
            raise DataError(f"--only {name}", expected, nearest(name, known))
    named = [name for name in places if name in only]
    heads = {name: block for name, block in VARIANTS.items() if name in only}
    return named or places, heads or VARIANTS
