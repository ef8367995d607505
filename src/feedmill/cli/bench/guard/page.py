"""The blocks `guard …` of a page, filled from the figures that `feedmill bench guard --json` wrote."""

from __future__ import annotations

import itertools
from pathlib import Path

from feedmill.cli.bench.guard import NONE, WHAT, WITH, WITHOUT
from feedmill.cli.bench.guard.runs import STEP_MIN
from feedmill.cli.bench.guard.twice import BETWEEN, FIRSTS, WAYS
from feedmill.cli.bench.guard.world import DAMAGES, HALF, STOP, Plan
from feedmill.cli.bench.page import Figures, Rows, bounded, line, measured_with, write_blocks

CELLS = (("NE over undisturbed", 2, True), ("lowest predicted / true", 2, False),
         ("highest predicted / true", 2, False), ("time to detect", 0, False), ("left out", 0, False))  # fmt: skip


def write(page: Path, found: Figures) -> None:
    """Replace the page's blocks of this bench, and draw its picture beside it.

    Raises:
        DataError: there is no such page, or a block of this bench that nobody fills.
    """
    write_blocks(page, found, WHAT, BLOCKS)


def _setup(own: Figures, rows: Rows, page: Path) -> str:
    n = rows[f"{NONE}, {WITHOUT}", "NE"]["split"]
    return f"{measured_with(own)}Means over {n}; brackets have the least and the most.\n"


def _streams(own: Figures, rows: Rows, page: Path) -> str:
    head = ("", "guard", "NE over undisturbed %", "lowest predicted / true", "highest", "found after s", "left out min")
    lines = [line(head), line(["---", "---", *["--:"] * 5])]
    for damage in (NONE, *DAMAGES):
        for way in (WITHOUT, WITH):
            cells = [
                bounded(rows.get((f"{damage}, {way}", metric)), digits, signed) for metric, digits, signed in CELLS
            ]
            lines.append(line([damage, way, *cells]))
    return "\n".join(lines) + "\n"


def _month(own: Figures, rows: Rows, page: Path) -> str:
    names = list(dict.fromkeys(what.removeprefix("month, ") for what, _ in rows if what.startswith("month, ")))
    found = [(damage, when) for when in ("at noon", "at 5 h") for damage in (STOP, HALF)]
    days = str(rows[f"month, {names[0]}", "alarms in a quiet month"]["unit"]).partition(";")[0].removeprefix("of ")
    head = ("", f"alarms in {days} of quiet", *(f"{damage} {when}: found, min" for damage, when in found))
    lines = [line(head), line(["---", *["--:"] * (len(head) - 1)])]
    for name in names:
        cells = [bounded(rows.get((f"month, {name}", "alarms in a quiet month")), 1)]
        for damage, when in found:
            cells.append(_found(rows, f"month, {name}", f"{damage} {when}"))
        lines.append(line([name, *cells]))
    return "\n".join(lines) + "\n"


def _found(rows: Rows, what: str, which: str) -> str:
    """Which share was found, and after how many minutes."""
    share, minutes = rows[what, f"{which}: found"]["value"], bounded(rows.get((what, f"{which}: minutes")), 1)
    return f"{share:.0f} %{', ' + minutes if minutes else ''}"


def _twice(own: Figures, rows: Rows, page: Path) -> str:
    head = ("first", "then", "baseline", *(f"{n} later: found, min" for n in BETWEEN))
    lines = [line(head), line([*["---"] * 3, *["--:"] * len(BETWEEN)])]
    for first, damage, way in itertools.product(FIRSTS, (STOP, HALF), WAYS):
        cells = [_found(rows, f"twice, {first}, {way}", f"{damage} {n} later") for n in BETWEEN]
        lines.append(line([first, damage, way, *cells]))
    return "\n".join(lines) + "\n"


def _plot(own: Figures, rows: Rows, page: Path) -> str:
    from feedmill.cli.charts.canvas import BLUE, GREY, VERMILLION, canvas

    file, plan = page.parent / "loop-guard.png", Plan()
    ways = ((NONE, WITHOUT, "undisturbed", GREY), (STOP, WITHOUT, "without the guard", VERMILLION),
            (STOP, WITH, "with the guard", BLUE))  # fmt: skip
    with canvas(file, columns=1, height=3.8) as grid:
        axes = grid[0][0]
        for damage, way, label, colour in ways:
            ratios = [float(r) for r in str(rows[f"{damage}, {way}", "curve"]["unit"]).split()]
            minutes = [(plan.live + STEP_MIN * (k + 0.5)) / 60 for k in range(len(ratios))]
            axes.plot(minutes, ratios, color=colour, label=label, marker="o", markersize=2)
        axes.axvspan(*(m / 60 for m in plan.stop), color="#eeeeee", zorder=0)
        axes.set(title="predicted over true click rate, clicks stop for 30 minutes", xlabel="hour", ylim=(0, None))
        axes.legend(loc="lower left")
    return f"![Predicted over true click rate through a break]({file.name})\n"


BLOCKS = {"setup": _setup, "streams": _streams, "month": _month, "plot": _plot, "twice": _twice}
