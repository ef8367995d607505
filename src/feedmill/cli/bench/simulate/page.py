"""docs/benchmarks/simulate.md filled from the figures that `feedmill bench simulate --json` wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, bounded, line, measured_with
from feedmill.cli.bench.simulate.coverage import PLANTED, name_of

Cell = Mapping[str, Any] | None


class Column(NamedTuple):
    """A metric as a table has it; shares stand as percentages."""

    metric: str
    title: str = ""
    digits: int = 1
    percent: bool = True
    signed: bool = False


ORDER = (
    Column("minutes a day", "minutes a person and day", 2, percent=False),
    Column("of the oracle's", "of the oracle's watch time"),
    Column("at the same moment", "of the oracle's slates at the same moment"),
    Column("more than", "to the one named", signed=True),
    Column("worlds above", "worlds above it", 0, percent=False),
    Column("run", "s a life", 0, percent=False),
)
STAGES = (Column("left", "left of the oracle's slate"), Column("lost", "lost by this stage", signed=True))
CHANNELS = (Column("alone", "best slate of its own"), Column("without", "best slate of all others'"))
ABLATION = (Column("watch time", signed=True), Column("views of new videos"))
VIDEOS = (
    Column("views", "share of views"),
    Column("in the quota's slot", "of these in the quota's slot", 0),
    Column("never seen", "not seen in 2 days"),
    Column("100 views in 2 days"),
    Column("100 views in 7 days"),
    Column("hours until half have 100", "hours until half have 100", 0, percent=False),
    Column("watch time to all four", "watch time to all four", 2, signed=True),
    Column("watch time to none of them", "watch time to none", 2, signed=True),
)
COVERAGE = (
    Column("true effect", signed=True, digits=2),
    Column("estimate less truth, plain", "estimate less truth", 2, signed=True),
    Column("moved by the other arm", "of it by the other arm", 2, signed=True),
    Column("truth in the interval, plain", "truth in the interval"),
    Column("truth in the interval, CUPED", "with CUPED"),
    Column("narrower by CUPED", "CUPED narrows by"),
)
SCALE = (
    Column("wall", "s", 0, percent=False),
    Column("cpu", "s of cores", 0, percent=False),
    Column("views", "views", 0, percent=False),
    Column("peak memory", "MB, peak", 0, percent=False),
    Column("a view", "us a view", 1, percent=False),
    *(Column(f"a view, {part}", part, 1, percent=False) for part in ("world", "feed", "learner", "loop and diary")),
    Column("same seed, same bytes", "twice alike", 0, percent=False),
)
CALIBRATION = (Column("real", "real", 3, percent=False), Column("simulated", "simulated", 3, percent=False))


def write(page: Path, found: Figures) -> None:
    """Fill the page's blocks.

    Raises:
        DataError: no such page, or a block of another kind.
    """
    bench_page.write(page, found, BLOCKS)


def _setup(found: Figures, _: str, __: Path) -> str:
    if not found:
        return NO_FIGURES
    sizes = [
        f"{row['what']}: {row['value']:.0f} {row['metric']}, {row['unit']}" for row in found if ":" not in row["what"]
    ]
    return measured_with(found) + "".join(f"- {text}\n" for text in sizes)


def _table(columns: Sequence[Column], has: str = "") -> Callable[[Figures, str, Path], str]:
    """A line for each name behind PREFIX; only names that hold ``has``, where it is not empty."""

    def fill(found: Figures, prefix: str, _: Path) -> str:
        rows = [row for row in found if str(row["what"]).startswith(f"{prefix}: ") and has in row["what"]]
        names = list(dict.fromkeys(row["what"] for row in rows))
        shown = [name for name in names if any(_find(rows, name, c) for c in columns)]
        if not shown:
            return NO_FIGURES
        lines = [line(["", *(c.title or c.metric for c in columns)]), line(["---", *["--:"] * len(columns)])]
        for name in shown:
            cells = [_cell(_find(rows, name, c), c) for c in columns]
            lines.append(line([name.removeprefix(f"{prefix}: ").removeprefix(has), *cells]))
        return "\n".join(lines) + "\n"

    return fill


def _coverage(found: Figures, metric: str, page: Path) -> str:
    """The experiments by one metric."""
    names = [(name_of(p, "").removeprefix("coverage: "), name_of(p, metric)) for p in PLANTED]
    lines = [line(["", *(c.title or c.metric for c in COVERAGE)]), line(["---", *["--:"] * len(COVERAGE)])]
    known = [(short, name) for short, name in names if _find(found, name, COVERAGE[0])]
    for short, name in known:
        lines.append(line([short, *(_cell(_find(found, name, c), c) for c in COVERAGE)]))
    return "\n".join(lines) + "\n" if known else NO_FIGURES


def _figure(found: Figures, name: str, _: Path) -> str:
    """One sentence: ``WHAT | METRIC``."""
    what, metric = (part.strip() for part in name.split("|", 1))
    row = next((r for r in found if (r["what"], r["metric"]) == (what, metric)), None)
    digits = 0 if row and abs(row["value"] or 0) >= 100 else 3
    return f"{metric}: {bounded(row, digits)} {row['unit']}\n" if row else NO_FIGURES


def _find(found: Figures, name: str, column: Column) -> Cell:
    """Metrics of the order name whom they compare with."""
    starts = column.metric in ("more than", "worlds above")
    is_it = str.startswith if starts else str.__eq__
    return next((r for r in found if r["what"] == name and is_it(r["metric"], column.metric)), None)


def _cell(row: Cell, column: Column) -> str:
    if row is None:
        return ""
    if column.percent:
        row = {**row, **{k: None if row[k] is None else 100 * row[k] for k in ("value", "low", "high")}}
    text = bounded(row, column.digits, column.signed) + (" %" if column.percent else "")
    other = str(row["metric"]).removeprefix(column.metric).strip()
    return f"{text} ({other})" if other else text


BLOCKS = {
    "setup": _setup,
    "order": _table(ORDER),
    "stages": _table(STAGES),
    "channels": _table(CHANNELS, has="channel "),
    "ablation": _table(ABLATION),
    "videos": _table(VIDEOS),
    "coverage": _coverage,
    "scale": _table(SCALE),
    "calibration": _table(CALIBRATION),
    "figure": _figure,
}
