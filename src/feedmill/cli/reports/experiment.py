"""``feedmill report experiment`` and ``report holdout``: who saw what, what it did, and whether to believe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import timezone
from feedmill.core.errors import DataError
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.experiments.analysis.compare import Effect
from feedmill.experiments.analysis.experiment import experiment_report, north_stars
from feedmill.experiments.analysis.holdout import HoldoutReport, of_period
from feedmill.experiments.analysis.report import Report, Row
from feedmill.experiments.config import ExperimentsConfig
from feedmill.experiments.plan import Plan
from feedmill.experiments.store import restore
from feedmill.metrics.rollup.rollup import Rollup


@contextmanager
def opened(at: Workspace) -> Iterator[tuple[Plan, Rollup, EventLog]]:
    """The plan and the rollup of a workspace at its log's end, and the log.

    Raises:
        ConfigError, LogError: as the parts that are opened.
    """
    from feedmill.log.whole import open_log

    config = at.section("experiments", ExperimentsConfig)
    log = open_log(at)
    try:
        plan = restore(at.experiments, log, config)
        rollup = Rollup(at.rollups, timezone(at))
        rollup.update(log)
        yield plan, rollup, log
    finally:
        log.close()


def report_experiment(
    at: Workspace, name: str, planned: int | None, alpha: float, out: Path | None, json: Path | None
) -> None:
    """Print the report; the same as a page of pictures and as JSON where asked for.

    Raises:
        NotFoundError: no such experiment.
        DataError: nobody was exposed to it, or a folder that cannot be made.
        ConfigError: matplotlib is not installed and --out is given.
    """
    if out is not None:
        _folder(out)
    with opened(at) as (plan, rollup, _):
        report = experiment_report(plan, rollup, name, planned, alpha)
    _print(report)
    if out is not None:
        from feedmill.cli.charts.experiment import page

        n = page(report, out)
        show.out.print(f"wrote {out / 'index.html'} and {n} pictures")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def report_holdout(at: Workspace, metrics: Sequence[str], json: Path | None) -> None:
    """Print what all launches did together, metric by metric.

    Raises:
        DataError: no holdout, or nobody in it was exposed.
        NotFoundError: no such metric.
    """
    with opened(at) as (plan, rollup, _):
        reports, notes = of_period(plan, rollup, list(metrics) or north_stars())
    for report in reports:
        _print_holdout(report)
    for note in notes:
        show.out.print(f"[dim]{escape(note)}[/]")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(reports), indent=1) + b"\n")


def heading(report: Report) -> list[str]:
    """What there is to know before any figure, in sentences."""
    ratio = report.sample_ratio
    users = ", ".join(f"{arm} {n:,} (expected {ratio.expected[arm]:,.0f})" for arm, n in ratio.users.items())
    fits = "not as planned" if ratio.is_flagged else "as planned"
    last = f"{report.n_days} day{'s' * (report.n_days > 1)} of {report.timezone}"
    return [
        f"{report.name}: {report.status}, layer {report.layer}, since {report.since}, {last}",
        *([f"why: {report.why}"] if report.why else []),
        f"users: {users}; split {fits}, p = {ratio.p:.3g}",
        *([f"catalogue: {'; '.join(map(_of_catalogue, report.catalogue.values()))}"] if report.catalogue else []),
        *(f"{arm} against {report.control}: {words}" for arm, words in report.verdicts.items()),
    ]


def _of_catalogue(shown: Mapping[str, Any]) -> str:
    n, share, gini = f"{shown['items']:,}", f"{shown['coverage']:.1%}", f"{shown['gini']:.3f}"
    return f"{shown['arm']} showed {n} items ({share}), Gini {gini}, {shown['new_share']:.1%} of impressions new"


def header(report: Report) -> tuple[str, ...]:
    """Of the table; one arm alone needs no column."""
    arm = ("arm",) if len(report.verdicts) > 1 else ()
    return "metric", *arm, "value", "control", "change, 95 %", "at any look", "CUPED", "q", "verdict"


def cells(report: Report, row: Row) -> tuple[str, ...]:
    """A row of the table."""
    x = row.effect
    always = row.always
    sequential = _interval(always.low, always.high, always.relative_low, always.relative_high)
    cut = f"{x.cut:.0%}" if x.is_adjusted else "-"
    name = f"{row.metric} *" if row.is_north_star else row.metric
    verdict = f"{row.verdict}, few users" if x.is_rough else row.verdict
    value, control = (f"{v:.4g}" for v in (x.value, x.value_control))
    arm = (x.arm,) if len(report.verdicts) > 1 else ()
    return name, *arm, value, control, changed(x), sequential, cut, f"{row.q:.3f}", verdict


def changed(x: Effect) -> str:
    """The relative change with its interval; absolute where the control may be 0."""
    mean = f"{x.difference:+.3g}" if x.relative is None else f"{x.relative:+.1%}"
    return f"{mean} {_interval(x.low, x.high, x.relative_low, x.relative_high)}"


def _interval(low: float, high: float, relative_low: float | None, relative_high: float | None) -> str:
    if relative_low is None or relative_high is None:
        return f"[{low:+.3g}, {high:+.3g}]"
    digits = 1 if relative_high - relative_low > 0.01 else 2
    return f"[{relative_low:+.{digits}%}, {relative_high:+.{digits}%}]"


def _print(report: Report) -> None:
    for line in heading(report):
        show.out.print(escape(line))
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for column in header(report):
        is_long = column in ("change, 95 %", "at any look", "verdict")  # these wrap, so that no number is cut short
        side: Literal["left", "right"] = "left" if column in ("metric", "arm", "verdict") else "right"
        table.add_column(column, justify=side, no_wrap=not is_long)
    for row in report.rows:
        table.add_row(*(escape(cell) for cell in cells(report, row)))
    show.out.print(table)
    planned = f"{report.planned:,} users is where intervals at any look are tightest"
    show.out.print(f"[dim]* north star. {planned}. Changes are after CUPED.[/]")
    for note in report.notes:
        show.out.print(f"[dim]{escape(note)}[/]")


def _print_holdout(report: HoldoutReport) -> None:
    x = report.effect
    show.out.print(f"[bold]{escape(report.metric)}[/], {escape(report.title)}")
    table = Table("", "in its experiment", "against the reverse bucket", box=None, header_style="bold", padding=(0, 1))
    for launch in report.launches:
        both = (launch.measured, launch.kept)
        table.add_row(escape(launch.name), *(escape(changed(e)) if e else "-" for e in both))
    if report.launches:
        show.out.print(table)
    show.out.print(escape(f"everyone else ({x.n:,}) against the holdout ({x.n_control:,}): {changed(x)}"))
    if report.promised is not None:
        low, high = report.promised_low, report.promised_high
        told = "" if report.p is None else f"; the difference of both: p = {report.p:.3g}"
        total = f"sum of the launches' experiments: {report.promised:+.1%} [{low:+.1%}, {high:+.1%}]{told}"
        show.out.print(escape(total))
    for note in dict.fromkeys(f"{launch.name}: {note}" for launch in report.launches for note in launch.notes):
        show.out.print(f"[dim]{escape(note)}[/]")


def _folder(out: Path) -> None:
    from feedmill.cli.charts import canvas

    canvas.pyplot()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its pictures") from e
