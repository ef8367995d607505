"""The simulated audience measured, `feedmill bench simulate`: policies, parts, new videos, experiments, speed."""

from __future__ import annotations

from collections.abc import Callable

from feedmill.cli.bench.simulate.ablation import ablation_rows, relearned_rows
from feedmill.cli.bench.simulate.calibration import calibration_rows
from feedmill.cli.bench.simulate.coverage import coverage_rows
from feedmill.cli.bench.simulate.newcomers import video_rows
from feedmill.cli.bench.simulate.order import order_rows
from feedmill.cli.bench.simulate.scale import scale_rows
from feedmill.metrics.rows import BenchRow

PARTS: dict[str, Callable[[bool], list[BenchRow]]] = {
    "scale": scale_rows,  # first: peaks of memory are those of the process
    "order": order_rows,
    "ablation": ablation_rows,
    "relearned": relearned_rows,
    "videos": video_rows,
    "coverage": coverage_rows,
    "calibration": calibration_rows,
}
