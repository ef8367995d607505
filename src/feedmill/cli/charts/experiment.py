"""The pictures of an experiment: metrics with both intervals, the difference day by day, users against plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, VERMILLION
from feedmill.cli.charts.page import Lines, Picture, write
from feedmill.cli.reports.experiment import cells, header, heading
from feedmill.experiments.analysis.report import BETTER, WORSE, Look, Report, Row

COLOURS = {BETTER: GREEN, WORSE: VERMILLION}
ARMS = (GREY, BLUE, ORANGE, PURPLE, SKY, GREEN, VERMILLION)
MOST_PANELS = 6


def page(report: Report, folder: Path) -> int:
    """Write index.html and its pictures; how many of these.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    pictures = []
    if any(_scaled(row) for row in report.rows):
        pictures.append(forest(report, folder))
    if any(_scaled(look) for looks in report.series.values() for look in looks):
        pictures.append(by_day(report, folder))
    if any(report.series.values()):
        pictures.append(by_arm(report, folder))
    of = ". ".join([*heading(report), *report.notes])
    table = Lines(header(report), [cells(report, row) for row in report.rows])
    write(folder / "index.html", f"Experiment {report.name}", f"{of}.", table, pictures)
    return len(pictures)


def forest(report: Report, folder: Path) -> Picture:
    """Relative effects: the plain interval thick, the sequential one thin."""
    rows = [row for row in report.rows if _scaled(row)][::-1]
    with canvas.canvas(folder / "effects.png", height=1.3 + 0.33 * len(rows)) as grid:
        axes = grid[0, 0]
        for y, row in enumerate(rows):
            _bar(axes, y, row)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(rows)), [_label(row, len(report.verdicts) > 1) for row in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(_signed)
        axes.set_xlabel(f"change against {report.control}")
        _legend(axes)
    clear = [row for row in rows if row.verdict in COLOURS]
    found = ", ".join(f"{row.metric} of {row.effect.arm} {row.verdict}" for row in clear) or "none is told apart"
    caption = (
        f"Of {len(rows)} metrics by arm: {found}. Thick bars are intervals for one look at the end of an experiment of "
        "planned size, thin ones hold at whatever look one stops. Colours allow for the number of rows, too."
    )
    return Picture("effects.png", "Change by metric", "Each metric's relative change with two intervals", caption)


def by_day(report: Report, folder: Path) -> Picture:
    """The change from the start up to each day, with both intervals."""
    drawn = [(key, of) for key, looks in report.series.items() if (of := [x for x in looks if _scaled(x)])][
        :MOST_PANELS
    ]
    columns = min(2, len(drawn))
    rows = -(-len(drawn) // columns)
    with canvas.canvas(folder / "days.png", columns, rows, height=0.6 + 3.0 * rows) as grid:
        for axes, (key, looks) in zip(grid.ravel(), drawn, strict=False):
            _days(axes, key, looks)
        for axes in grid.ravel()[len(drawn) :]:
            axes.set_visible(False)
        grid[0, 0].legend(loc="best")
    caption = (
        "All from the start up to the day. The fixed interval errs in 5 % of the cases at one look, and far more "
        "often if one stops at the first day that leaves 0 out; the wider one may be looked at every day."
    )
    return Picture("days.png", "The change day by day", "Changes by day with fixed and sequential bounds", caption)


def by_arm(report: Report, folder: Path) -> Picture:
    """Users so far in each arm, and how many there should be."""
    looks = next(looks for looks in report.series.values() if looks)
    ratio = report.sample_ratio
    whole = sum(ratio.expected.values())
    at = range(len(looks))
    with canvas.canvas(folder / "users.png", height=3.6) as grid:
        axes = grid[0, 0]
        for (arm, expected), colour in zip(ratio.expected.items(), ARMS, strict=False):
            axes.plot(at, [look.users.get(arm, 0) for look in looks], color=colour, marker="o", markersize=4, label=arm)
            planned = [sum(look.users.values()) * expected / whole for look in looks]
            axes.plot(at, planned, color=colour, linewidth=1, linestyle=(0, (4, 2)), label=f"{arm}, by its buckets")
        _dates(axes, looks)
        axes.margins(y=0.08)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylabel("users exposed so far")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    fits = "That is not as planned: something drops users of an arm." if ratio.is_flagged else "That is as planned."
    caption = f"The sample-ratio test at the end has p = {ratio.p:.3g} (flagged under 0.001). {fits}"
    return Picture("users.png", "Users per arm", "Users exposed in each arm by day, beside their shares", caption)


def _bar(axes: Any, y: int, row: Row) -> None:
    x, colour = row.effect, COLOURS.get(row.verdict, GREY)
    always = [100 * (v or 0.0) for v in (row.always.relative_low, row.always.relative_high)]
    plain = [100 * (v or 0.0) for v in (x.relative_low, x.relative_high)]
    axes.plot(always, [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot(plain, [y, y], color=colour, linewidth=5, solid_capstyle="butt")
    axes.plot(100 * (x.relative or 0.0), y, "o", color="white", markeredgecolor=colour, markersize=6)


def _legend(axes: Any) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=GREY, linewidth=5), Line2D([], [], color=GREY, linewidth=1.4)]
    lines += [Line2D([], [], color=colour, linewidth=5) for colour in COLOURS.values()]
    words = ["one look, 95 %", "at any look, 95 %", *COLOURS]
    axes.legend(lines, words, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)


def _days(axes: Any, key: str, looks: Sequence[Look]) -> None:
    at = list(range(len(looks)))
    wide = [_percent(x.always.relative_low, x.always.relative_high) for x in looks]
    plain = [_percent(x.effect.relative_low, x.effect.relative_high) for x in looks]
    across = at if len(at) > 1 else [-0.2, 0.2]  # the first day alone has no width
    wide, plain = (bounds if len(at) > 1 else bounds * 2 for bounds in (wide, plain))
    axes.fill_between(across, *zip(*wide, strict=True), color=PALE, linewidth=0, label="at any look")
    for side, label in ((0, "one look"), (1, None)):
        axes.plot(across, [x[side] for x in plain], color=ORANGE, linewidth=1.3, linestyle=(0, (4, 2)), label=label)
    change = [100 * (x.effect.relative or 0.0) for x in looks]
    axes.plot(at, change, color=BLUE, marker="o", markersize=4, label="change")
    axes.axhline(0, color=INK, linewidth=1)
    _zoom(axes, wide)
    _dates(axes, looks)
    if len(at) == 1:
        axes.set_xlim(-1, 1)
    axes.yaxis.set_major_formatter(_signed)
    axes.set_title(key)


def _percent(low: float | None, high: float | None) -> tuple[float, float]:
    return 100 * (low or 0.0), 100 * (high or 0.0)


def _signed(x: float, _: int = 0) -> str:
    return f"{x:+.3g} %" if x else "0"


def _zoom(axes: Any, wide: Sequence[tuple[float, float]]) -> None:
    """The first days' intervals are so wide that nothing could be seen of the others."""
    later = wide[min(len(wide) - 1, len(wide) // 4) :]
    low, high = min(0.0, *(x for x, _ in later)), max(0.0, *(x for _, x in later))
    room = 0.15 * (high - low)
    axes.set_ylim(low - room, high + room)


def _dates(axes: Any, looks: Sequence[Look]) -> None:
    step = max(1, -(-len(looks) // 6))
    places = list(range(0, len(looks), step))
    axes.set_xticks(places, [looks[i].day[5:] for i in places])


def _label(row: Row, several: bool) -> str:
    name = f"{row.metric} *" if row.is_north_star else row.metric
    return f"{name}, {row.effect.arm}" if several else name


def _scaled(x: Row | Look) -> bool:
    """Whether it can be shown as a share of the control, at any look."""
    return None not in (x.effect.relative_low, x.always.relative_low)
