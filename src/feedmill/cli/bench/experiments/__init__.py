"""Assignment and analysis against known truths, `feedmill bench experiments`."""

from __future__ import annotations

from collections.abc import Callable

from feedmill.cli.bench.experiments.assignment import assignment_rows, uniform_rows
from feedmill.cli.bench.experiments.life import reverse_rows
from feedmill.cli.bench.experiments.simulated import cuped_rows, peeking_rows, power_rows, ratio_rows, same_rows
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
