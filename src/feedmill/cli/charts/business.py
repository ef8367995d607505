"""Business metrics day by day, as small multiples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREY
from feedmill.cli.charts.page import Lines, Picture, write
from feedmill.cli.reports.business import GROUPS, WINDOWS, heading, words
from feedmill.metrics.rollup.business import Business, Window
from feedmill.metrics.rollup.measures import MEASURES, Measure

PICTURES = (("north_star",), ("consumption",), ("diversity", "new_items"))
COLUMNS = 3
WEEK = 7
ONE_A_DAY = "active_days"  # of one day it is 1
Windows = Mapping[str, Sequence[Window]]


def page(business: Business, windows: Windows, timezone: str, folder: Path) -> int:
    """Write index.html and its pictures, of groups that have data; how many of these.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    pictures = []
    for groups in PICTURES:
        measures = [m for m in MEASURES.values() if m.group in groups and m.name != ONE_A_DAY]
        series = {m: _values(business, m) for m in measures}
        series = {m: found for m, found in series.items() if np.isfinite(found).any()}
        if series:
            name = " and ".join(GROUPS[group] for group in groups)
            pictures.append(_group(business, groups[0], name, series, folder))
    header = ["measure", *(x for n in WINDOWS for x in (f"{n} day{'s' * (n > 1)}", "change")), "what it is"]
    rows = [_row(m, windows[m.name]) for m in MEASURES.values() if not math.isnan(windows[m.name][-1].value)]
    write(folder / "index.html", "Business metrics", f"{heading(business, timezone)}.", Lines(header, rows), pictures)
    return len(pictures)


def _values(business: Business, m: Measure) -> np.ndarray[Any, np.dtype[np.float64]]:
    """float64[days] up to the last complete day, NaN = no data."""
    rows = [v for day, v in business.daily(m.name).iter_rows() if day <= business.complete]
    return np.array([math.nan if v is None else v for v in rows], np.float64)


def _group(business: Business, group: str, name: str, series: Mapping[Measure, Any], folder: Path) -> Picture:
    n_rows = -(-len(series) // COLUMNS)
    days = np.arange(np.datetime64(business.first), np.datetime64(business.complete) + 1)
    with canvas.canvas(folder / f"{group}.png", COLUMNS, n_rows, height=0.6 + 2.1 * n_rows, sharex=True) as grid:
        panels = grid.ravel()
        for axes, (m, values) in zip(panels, series.items(), strict=False):
            _panel(axes, m, days, values)
        for axes in panels[len(series) :]:
            axes.remove()
        for column in range(COLUMNS):  # the lowest panel of a column has the dates
            below = range(column, len(series), COLUMNS)
            if below:
                _dates(panels[below[-1]])
    names = ", ".join(m.name for m in series)
    caption = (
        f"Grey: each day. Blue: the mean of the {WEEK} days up to it, which no weekday moves. {_sentences(series)}"
    )
    return Picture(f"{group}.png", name.capitalize(), f"By day: {names}", caption)


def _panel(axes: Any, m: Measure, days: Any, values: Any) -> None:
    axes.plot(days, values, color=GREY, linewidth=1, marker="." if len(days) < 15 else None, markersize=3)
    if len(days) > WEEK:
        axes.plot(days, _week(values), color=BLUE)
    axes.set_title(f"{m.name}, s" if m.unit == "s" else m.name)
    axes.yaxis.set_major_formatter(lambda x, _: f"{100 * x:.3g} %" if m.unit == "share" else f"{x:,.4g}")
    axes.yaxis.get_major_locator().set_params(nbins=4)
    if np.nanmax(values) > 0:
        axes.set_ylim(0, 1.08 * np.nanmax(values))


def _week(values: Any) -> Any:
    """Mean of what is known of the last seven days, where the last of them is, from the seventh day on."""
    out = np.full(len(values), np.nan)
    for k in range(WEEK - 1, len(values)):
        part = values[k - WEEK + 1 : k + 1]
        out[k] = part[np.isfinite(part)].mean() if np.isfinite(part[-1]) else np.nan
    return out


def _dates(axes: Any) -> None:
    from matplotlib import dates

    library: Any = dates
    locator = library.AutoDateLocator(minticks=2, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(library.ConciseDateFormatter(locator))
    axes.tick_params(labelbottom=True)


def _sentences(series: Mapping[Measure, Any]) -> str:
    return " ".join(f"{m.name}: {m.words}." for m in series)


def _row(m: Measure, windows: Sequence[Window]) -> list[str]:
    change = ["" if math.isnan(w.change) else f"{w.change:+.1%}" for w in windows]
    return [m.name, *(x for w, c in zip(windows, change, strict=True) for x in (words(m, w.value), c)), m.words]
