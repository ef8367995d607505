"""The blocks `freshness …` of a page, filled from the figures that `feedmill bench freshness --json` wrote."""

from __future__ import annotations

from pathlib import Path

from feedmill.cli.bench.freshness import TENTHS, TRUTH, WHAT
from feedmill.cli.bench.freshness.runs import BOTH, PARTS, WAYS
from feedmill.cli.bench.page import Figures, Rows, bounded, line, measured_with, write_blocks


def write(page: Path, found: Figures) -> None:
    """Replace the page's blocks of this bench, and draw its picture beside it.

    Raises:
        DataError: there is no such page, or a block of this bench that nobody fills.
    """
    write_blocks(page, found, WHAT, BLOCKS)


def _setup(own: Figures, rows: Rows, page: Path) -> str:
    return f"{measured_with(own)}Over {rows['frozen', 'NE']['split']}, intervals are of 95 % over them.\n"


def _table(own: Figures, rows: Rows, page: Path) -> str:
    head = ("", "NE", "AUC", "less frozen", "less nightly alone", "full pass s", "rows/s by day")
    lines = [line(head), line(["---", *["--:"] * 6])]
    for way in (*WAYS, *PARTS, TRUTH):
        cells = [bounded(rows.get((way, metric)), digits, signed) for metric, digits, signed in (
            ("NE", 4, False), ("AUC", 4, False), ("NE less frozen", 4, True), ("NE less nightly", 4, True),
            ("full pass", 2, False), ("incremental", 0, False))]  # fmt: skip
        lines.append(line([way, *cells]))
    late = rows.get((BOTH, "NE less incremental, last 7 days"))
    return (
        "\n".join(lines)
        + f"\n\nBoth together less incremental alone, over the last 7 days: {bounded(late, 4, True)}.\n"
    )


def _tenths(own: Figures, rows: Rows, page: Path) -> str:
    lines = [line(["tenth", *map(str, range(1, TENTHS + 1))]), line(["---", *["--:"] * TENTHS])]
    for way in WAYS:
        lines.append(line([way, *(bounded(rows.get((way, f"PCOC tenth {k + 1}")), 2) for k in range(TENTHS))]))
    return "\n".join(lines) + "\n"


def _plot(own: Figures, rows: Rows, page: Path) -> str:
    from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, VERMILLION, canvas

    file = page.parent / "loop-freshness.png"
    colour = dict(zip(WAYS, (GREY, BLUE, VERMILLION, GREEN), strict=True))
    days = sorted(int(metric.split()[-1]) for way, metric in rows if way == "frozen" and metric.startswith("NE day"))
    with canvas(file, columns=2, height=3.8) as axes:
        left, right = axes[0]
        for way in WAYS:
            less = [rows[way, f"NE day {d}"]["value"] - rows["frozen", f"NE day {d}"]["value"] for d in days]
            left.plot(days, less, color=colour[way], label=way, marker="o", markersize=3)
            tenths = [rows[way, f"PCOC tenth {k + 1}"]["value"] for k in range(TENTHS)]
            right.plot(range(1, TENTHS + 1), tenths, color=colour[way], marker="o", markersize=3)
        left.set(title="NE of a day, less that of the frozen model (lower is better)", xlabel="day", xticks=days)
        left.legend(loc="lower left")
        right.axhspan(0.95, 1.05, color="#eeeeee", zorder=0)
        right.set(title="predicted / actual by tenth of the predictions", xlabel="tenth", xticks=range(1, TENTHS + 1))
    return f"![NE by day, and predicted over actual by tenths]({file.name})\n"


BLOCKS = {"setup": _setup, "table": _table, "tenths": _tenths, "plot": _plot}
