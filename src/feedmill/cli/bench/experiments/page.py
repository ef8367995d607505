"""docs/benchmarks/experiments.md filled from the figures that `feedmill bench experiments --json` wrote."""

from __future__ import annotations

from pathlib import Path

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, bounded, line, measured_with


def write(page: Path, found: Figures) -> None:
    """Fill the page's blocks: `setup`, and `table PREFIX` with the figures whose name starts so.

    Raises:
        DataError: no such page, or a block of another kind.
    """
    setup = lambda figures, _, __: measured_with(figures) if figures else NO_FIGURES  # noqa: E731
    bench_page.write(page, found, {"setup": setup, "table": _table})


def _table(found: Figures, prefix: str, _: Path) -> str:
    rows = [row for row in found if row["what"].startswith(prefix)]
    if not rows:
        return NO_FIGURES
    lines = [line(("", "", "", "")), line(("---", "---", "---:", "---"))]
    for row in rows:
        if row["low"] is not None and not row["low"] <= row["value"] <= row["high"]:
            row = {**row, "low": None}  # the quarters of timings are not those of their p99
        lines.append(line((row["what"], row["metric"], bounded(row, _digits(row["value"])), row["unit"])))
    return "\n".join(lines) + "\n"


def _digits(value: float) -> int:
    """Shares to a hundredth of a percent, counts whole."""
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 2 else 4
