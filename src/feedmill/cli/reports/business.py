"""``feedmill report business``: the metrics by day and over the last days, and how they changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import timezone
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.metrics.rollup.business import Business, Window
from feedmill.metrics.rollup.measures import MEASURES, Measure
from feedmill.metrics.rollup.rollup import Rollup

WINDOWS = (1, 7, 28)  # days
GROUPS = {
    "north_star": "north star",
    "consumption": "consumption",
    "diversity": "diversity",
    "new_items": "new items",
}


def report_business(at: Workspace, out: Path | None, json: Path | None) -> None:
    """Bring the tables up to date and print them; a page of pictures and JSON where asked for.

    Raises:
        DataError: nobody has done anything yet, or a folder that cannot be made.
        ConfigError: matplotlib is not installed and --out is given.
    """
    zone = timezone(at)
    log = open_log(at)
    try:
        rollup = Rollup(at.rollups, zone)
        rollup.update(log)
    finally:
        log.close()
    business = Business(rollup)
    windows = {name: [business.window(name, n) for n in WINDOWS] for name in MEASURES}
    show.out.print(table(business, windows, zone))
    absent = [name for name, found in windows.items() if all(math.isnan(w.value) for w in found)]
    if absent:
        show.out.print(f"[dim]no data: {', '.join(absent)}[/]")
    if out is not None:
        from feedmill.cli.charts.business import page

        _folder(out)
        n = page(business, windows, zone, out)
        show.out.print(f"wrote {out / 'index.html'} and {n} pictures")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(figures(business, windows, zone)), indent=1) + b"\n")


def table(business: Business, windows: dict[str, list[Window]], timezone: str) -> Table:
    """A line for each measure with data, by group, the north star first."""
    out = Table(title=heading(business, timezone), title_justify="left", title_style="", box=None, header_style="bold")
    out.add_column("", no_wrap=True)
    for n in WINDOWS:
        out.add_column("last day" if n == 1 else f"{n} days", justify="right", no_wrap=True)
        out.add_column("change", justify="right", no_wrap=True)
    out.add_column("")
    for group, words in GROUPS.items():
        lines = [m for m in MEASURES.values() if m.group == group]
        lines = [m for m in lines if any(not math.isnan(w.value) for w in windows[m.name])]
        if lines:
            out.add_row(f"[bold]{words}[/]")
        for m in lines:
            out.add_row(m.name, *(cell for w in windows[m.name] for cell in _cells(m, w)), f"[dim]{m.words}[/]")
    return out


def heading(business: Business, timezone: str) -> str:
    """What the figures are of."""
    days = f"days of {timezone}, the last {business.complete}"
    if business.complete < business.last:
        days += f" ({business.last} is not over)"
    return f"{days}; change is against as many days before"


def figures(business: Business, windows: dict[str, list[Window]], timezone: str) -> dict[str, Any]:
    """The same for ``--json``: windows, and every measure by day; null where there is no data."""
    return {
        "timezone": timezone,
        "first_day": business.first,
        "last_day": business.last,
        "complete_day": business.complete,
        "measures": [
            {
                "name": m.name,
                "group": m.group,
                "unit": m.unit,
                "words": m.words,
                "windows": [
                    {"days": n, "value": _null(w.value), "before": _null(w.before), "change": _null(w.change)}
                    for n, w in zip(WINDOWS, windows[m.name], strict=True)
                ],
                "daily": business.daily(m.name).rows(),
            }
            for m in MEASURES.values()
        ],
    }


def words(m: Measure, value: float) -> str:
    """A value as people read it."""
    if math.isnan(value):
        return ""
    if m.unit == "share":
        return f"{value:.2%}"
    if m.unit == "s":
        return f"{value:,.1f} s"
    return f"{value:,.0f}" if m.unit == "users" else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _cells(m: Measure, w: Window) -> tuple[str, str]:
    if math.isnan(w.change):
        return words(m, w.value), ""
    colour = "" if not m.better or not w.change else "green" if w.change * m.better > 0 else "red"
    change = f"{w.change:+.1%}"
    return words(m, w.value), f"[{colour}]{change}[/]" if colour else change


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its pictures") from e
