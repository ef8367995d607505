"""Assignment and analysis against known truths, `feedmill bench experiments`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from feedmill.cli.bench.experiments.assignment import assignment_rows, uniform_rows
from feedmill.cli.bench.experiments.life import reverse_rows
from feedmill.cli.bench.experiments.simulated import cuped_rows, peeking_rows, power_rows, ratio_rows, same_rows
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow

PARTS: dict[str, Callable[[bool], list[BenchRow]]] = {
    "assignment": assignment_rows,
    "buckets": uniform_rows,
    "aa": same_rows,
    "peeking": peeking_rows,
    "power": power_rows,
    "ratio": ratio_rows,
    "cuped": cuped_rows,
    "reverse": reverse_rows,
}


def experiments_rows(quick: bool, only: Sequence[str] = ()) -> list[BenchRow]:
    """All parts, or those named.

    Raises:
        DataError: a name that is no part.
    """
    for name in only:
        if name not in PARTS:
            raise DataError(f"--only {name}", f"one of {list(PARTS)}", nearest(name, PARTS))
    return [row for name, part in PARTS.items() if not only or name in only for row in part(quick)]
