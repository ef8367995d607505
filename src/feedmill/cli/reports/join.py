"""``feedmill report join``: when feedback arrives, and what the windows of [samples.join] make of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.charts import canvas, page
from feedmill.cli.charts.page import Lines, Picture
from feedmill.cli.join import COLUMNS, feedback, impressions
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log, read_all
from feedmill.samples.joiner import Counts, JoinConfig, Joiner
from feedmill.samples.joiner.delays import GRID_S, QUANTILES, Delays, delays

TITLE = "When feedback arrives"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` writes."""

    grid_s: Sequence[float]
    delays: list[Delays]
    counts: Counts
    uneven: list[str]


def report_join(at: Workspace, json: Path | None, out: Path | None) -> None:
    """Print both tables, and write them where asked. Reads the whole log; nothing of the workspace changes.

    Raises:
        DataError: the log has no feedback, or the folder for the page cannot be made.
        ConfigError: matplotlib is not installed, which the page needs.
    """
    if out is not None:
        canvas.pyplot()
    config = at.section("samples.join", JoinConfig)
    joiner = Joiner(config)
    log = open_log(at)
    try:
        events, joiner.offset = read_all(log), log.start
    finally:
        log.close()
    found = delays(events)
    if not found:
        raise DataError(f"{len(events):,} events without feedback", "clicks, watches, …", "ingest a log that has them")
    joiner.feed(events, joiner.offset)
    counts = joiner.counts
    report = Report(grid_s=GRID_S, delays=found, counts=counts, uneven=counts.uneven())
    show.out.print("Share of the feedback that arrives later than w after its impression (the first report; of watches")
    show.out.print("the largest), and by when which share has come:")
    show.out.print(arrivals(found))
    show.out.print(impressions(counts))
    show.out.print(feedback(counts, f"{len(events):,} events joined by the windows of the config"))
    show.out.print(
        "[bold red]these do not add up:[/] " + "; ".join(report.uneven) if report.uneven else "all sums even"
    )
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    if out is not None:
        write_page(report, config, f"{len(events):,} events of {at.path}", out)
        show.out.print(f"wrote {out / 'index.html'}")


def arrivals(found: Sequence[Delays]) -> Table:
    """Of the feedback of each kind, how much arrives after w."""
    out = Table(box=None, header_style="bold", padding=(0, 1))
    out.add_column("w")
    for d in found:
        out.add_column(d.kind, justify="right", no_wrap=True)
    for row in _rows(found):
        out.add_row(*row)
    return out


def _rows(found: Sequence[Delays]) -> list[list[str]]:
    rows = [[short(w), *(_percent(1 - d.within[j]) for d in found)] for j, w in enumerate(GRID_S)]
    rows += [[f"{q:.1%} by", *(_at(d, j) for d in found)] for j, q in enumerate(QUANTILES)]
    rows += [["impressions", *(f"{d.n:,}" for d in found)], ["repeated", *(f"{d.n_repeated:,}" for d in found)]]
    return [
        *rows,
        ["no impression", *(f"{d.n_orphan:,}" for d in found)],
        ["organic", *(f"{d.n_organic:,}" for d in found)],
    ]


def _at(d: Delays, j: int) -> str:
    return short(d.quantiles_s[j]) if d.quantiles_s else ""


def _percent(share: float) -> str:
    return f"{share:.2%}" if share > 5e-5 else "0"


def short(seconds: float) -> str:
    """Seconds in the unit that people would use: 45 s, 10 min, 3 h, 7 d."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def write_page(report: Report, config: JoinConfig, of: str, out: Path) -> None:
    """A page with the curves and both tables.

    Raises:
        DataError: the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its picture") from e
    counted = [[k.kind, short(k.window_s), *(f"{getattr(k, name):,}" for name in _NAMES)] for k in report.counts.kinds]
    made = f"Made by `feedmill report join` from {of}. {impressions(report.counts)}."
    page.write(out / "index.html", TITLE, made, Lines(COLUMNS, counted), [curves(report.delays, config, out)])


_NAMES = (
    *("seen", "joined", "grown", "duplicate", "late", "orphan", "organic", "early"),
    *("closed", "positive", "negative"),
)


def curves(found: Sequence[Delays], config: JoinConfig, out: Path) -> Picture:
    """The share that is still to come after w, both axes in powers of ten, with a dot at each kind's window."""
    file = "arrivals.png"
    colours = (canvas.BLUE, canvas.VERMILLION, canvas.GREEN, canvas.ORANGE, canvas.SKY, canvas.PURPLE, canvas.INK)
    with canvas.canvas(out / file, height=4.8) as grid:
        axes = grid[0, 0]
        for j, d in enumerate(x for x in found if x.n):
            late = [1 - share for share in d.within]
            n = sum(y > 0 for y in late)
            colour, style = colours[j % len(colours)], ("-", "--")[j // len(colours) % 2]
            axes.plot(GRID_S[:n], late[:n], style, color=colour, label=f"{d.kind}, {d.n:,}")
            window = config.windows.get(d.kind)
            if window is not None and n > 1 and GRID_S[0] <= window <= GRID_S[n - 1]:
                axes.plot(window, _between(window, late[:n]), "o", color=colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(GRID_S, [short(w) for w in GRID_S], rotation=40, ha="right")
        axes.minorticks_off()
        canvas.plain_log(axes.yaxis)
        axes.set_xlabel("w after the impression")
        axes.set_ylabel("share of the feedback still to come")
        axes.legend(title="kind, impressions that got it")
    alt = "Curves that fall from one towards zero: the share of each kind of feedback that arrives later than w."
    caption = (
        "A window at w loses this share of its kind as false negatives, and delays every sample by w. "
        "Dots are the windows of [samples.join]; a curve ends where nothing more has come."
    )
    return Picture(file, "Feedback still to come", alt, caption)


def _between(w: float, late: Sequence[float]) -> float:
    import numpy as np

    return float(np.exp(np.interp(np.log(w), np.log(GRID_S[: len(late)]), np.log(late))))
