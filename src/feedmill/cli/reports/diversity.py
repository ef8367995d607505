"""``feedmill report diversity``: what MMR and DPP would keep of value and gain in variety on one's own log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.charts import canvas, page
from feedmill.cli.charts import diversity as charts
from feedmill.cli.charts.page import Lines
from feedmill.cli.reports.diversity_points import LATENCY_K, VALUE, Cost, Grid, Latency, Point
from feedmill.cli.reports.diversity_points import costs as costs_of
from feedmill.cli.reports.diversity_points import latencies as latencies_of
from feedmill.cli.reports.diversity_points import points as points_of
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.publish import Artifact, current, load
from feedmill.samples import Split
from feedmill.samples.splits import EvaluateConfig, split
from feedmill.serve.fused import Asked, ask
from feedmill.state import Replay

TITLE = "Relevance against diversity"
THETAS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
WINDOWS = (5, 10, 30)
SLATES = (10, 30)
LEAST_REQUESTS = 10
NEAR_THETA, NEAR_WINDOW = 0.7, 10  # the defaults of both rules: what tables that hold one fixed hold it at


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured, as ``--json`` writes it."""

    made_from: str
    missing: Sequence[str]
    points: Sequence[Point]
    latency: Sequence[Latency]
    costs: Sequence[Cost]


def report_diversity(at: Workspace, grid: Grid, requests: int, seed: int, out: Path | None, json: Path | None) -> None:
    """Measure, print, and write the page and the file where they are asked for.

    Raises:
        ConfigError: a page is asked for, and matplotlib is not installed.
        DataError: too few requests to average over, another split than the model's, or a folder that cannot be made.
    """
    if out is not None:
        canvas.pyplot()
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its pictures") from e
    grid = Grid(sorted(set(grid.theta)), sorted(set(grid.window)), sorted(set(grid.k)))
    artifact, replay, held = read(at)
    asked = ask(at, artifact, replay, held, requests, grid.k, seed)
    if len(asked.requests) < LEAST_REQUESTS:
        raise DataError(
            f"{len(asked.requests)} requests with candidates, {asked.what}",
            f"{LEAST_REQUESTS} at least, to average over",
            "ingest more events, or raise --requests or evaluate.max_users",
        )
    theta, window = nearest(grid.theta, NEAR_THETA), int(nearest(grid.window, NEAR_WINDOW))
    report = Report(
        made_from=f"{asked.what}; {np.mean([len(r.candidates) for r in asked.requests]):,.0f} candidates each",
        missing=missing(asked), points=points_of(at, asked, grid),
        latency=latencies_of(at, asked, theta, window), costs=costs_of(asked, grid),
    )  # fmt: skip
    _print(report, grid, theta, window)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    if out is not None:
        _page(report, grid, theta, window, out)


def read(at: Workspace) -> tuple[Artifact | None, Replay, Split]:
    """The promoted version where there is one, the log that it knows, and its split.

    Raises:
        DataError: [evaluate] holds out something else than the model's training did.
    """

    artifact = load(at.artifacts) if current(at.artifacts) else None
    replay = Replay.of_workspace(at, int(artifact.about["offset"]) if artifact else None)
    held = split(replay.events, at.section("evaluate", EvaluateConfig))
    if artifact and held.hash != artifact.about["split_hash"]:
        raise DataError(
            f"split {held.hash} ({held.name})",
            f"{artifact.about['split_hash']} ({artifact.about['split']}), what version {artifact.version} held out",
            "undo the change to [evaluate]; or train again, as after old events were dropped",
        )
    return artifact, replay, held


def missing(asked: Asked) -> list[str]:
    """In words, what the figures have to do without."""
    catalogue, items = asked.state.catalogue, [r.candidates.item for r in asked.requests]
    out = []
    if "no model" in asked.missing:
        out.append("There is no model yet: candidates are popular items, and value is how popular they are.")
    if asked.vectors is None:
        out.append("There are no item vectors (prerank.channel names none that has): rules go by topics and authors.")
    if not any(catalogue.topics[item].any() for item in items):
        out.append("The log has no topics of items.")
    if not any(catalogue.author[item].any() for item in items):
        out.append("The log has no authors of items.")
    if not any(len(r.held) for r in asked.requests):
        out.append("Nothing is held out, so there is no NDCG.")
    if not any(r.ruled for r in asked.requests):
        out.append("The workspace has no [[rerank.rules]].")
    return out


def nearest(values: Sequence[float], to: float) -> float:
    """The one of them that is nearest."""
    return min(values, key=lambda x: abs(x - to))


HEADER = ("", "theta", "window", "value", "NDCG", "more than by value", "vectors", "topics", "authors", "cover", "Gini")


def lines(points: Sequence[Point]) -> list[Sequence[str]]:
    """A line for each point; what does not apply is left empty."""
    return [
        (
            p.rule, "" if p.theta is None else f"{p.theta:g}", "" if p.window is None else str(p.window),
            f"{p.kept:.1%}", _short(p.ndcg, 4), _range(p.ndcg_more) if p.rule != VALUE else "", _short(p.vectors, 3),
            f"{_short(p.topics, 3)} ({p.n_topics:.1f})" if p.n_topics else "",
            f"{p.n_authors:.1f}" if p.n_authors else "", f"{p.coverage:.1%}", _short(p.gini, 3),
        )
        for p in points
    ]  # fmt: skip


def cost_lines(found: Sequence[Cost]) -> Lines:
    """What each configured rule costs."""
    header = ("configured rule", "k", "costs, value", "of the best value", "in requests", "value kept up to it")
    rows = [(c.rule, str(c.k), f"{c.cost:.4g}", _share(c.share), f"{c.changed:.0%}", f"{c.kept:.1%}") for c in found]
    return Lines(header, rows)


def latency_lines(found: Sequence[Latency]) -> Lines:
    """A line per rule, p50 and p99 for each k."""
    by = {(x.rule, x.k): f"{x.p50_ms:.3f} / {x.p99_ms:.3f}" for x in found}
    rows = [(name, *(by[name, k] for k in LATENCY_K)) for name in dict.fromkeys(x.rule for x in found)]
    return Lines(("ms, p50 / p99", *(f"k = {k}" for k in LATENCY_K)), rows)


def _print(report: Report, grid: Grid, theta: float, window: float) -> None:
    k, deepest = grid.k[0], grid.k[-1]
    made_from = f"{report.made_from[0].upper()}{report.made_from[1:]}"
    show.out.print(escape(" ".join([f"{made_from}.", *report.missing])))
    at_k = [p for p in report.points if p.k == k]
    by_theta = [p for p in at_k if p.window in (None, window)]
    show.out.print(_table(f"first {k} by theta, window {window:g}", Lines(HEADER, lines(by_theta))))
    if len(grid.window) > 1:
        by_window = [p for p in report.points if p.k == deepest and p.theta in (None, theta) and p.window]
        show.out.print(_table(f"first {deepest} by window, theta {theta:g}", Lines(HEADER, lines(by_window))))
    show.out.print(
        "[dim]value: kept of the best possible. vectors, topics: 1 - mean likeness of two items of a slate; in "
        "brackets and under authors, how many different ones. cover, Gini: of the catalogue, all slates together.[/]"
    )
    if report.costs:
        show.out.print(_table("what the configured rules cost", cost_lines(report.costs)))
    title = f"picking k, theta {theta:g}, window {window:g}, the rule's preparation included"
    show.out.print(_table(title, latency_lines(report.latency)))


def _table(title: str, of: Lines) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1, 0, 0)
    )
    for place, column in enumerate(of.header):
        table.add_column(column, no_wrap=True, justify="right" if place else "left")
    for row in of.rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _page(report: Report, grid: Grid, theta: float, window: float, out: Path) -> None:
    k, deepest = grid.k[0], grid.k[-1]
    at_k = [p for p in report.points if p.k == k]
    by_window = [p for p in report.points if p.k == deepest and p.theta in (None, theta)]
    drawn = [
        *charts.curves([p for p in at_k if p.window in (None, window)], k, window, out),
        *charts.windows(by_window, deepest, theta, out),
        charts.latency(report.latency, theta, window, out),
    ]
    of = f"Made by `feedmill report diversity` from {report.made_from}. {' '.join(report.missing)}".rstrip()
    table = cost_lines(report.costs) if report.costs else Lines(HEADER, lines(at_k[:2]))
    page.write(out / "index.html", TITLE, of, table, drawn)
    show.out.print(f"wrote {out / 'index.html'} and {len(drawn)} pictures")


def _short(x: float | None, digits: int) -> str:
    return "" if x is None else f"{x:.{digits}f}"


def _share(x: float | None) -> str:
    return "" if x is None else f"{x:.2%}"


def _range(x: tuple[float, float, float] | None) -> str:
    return "" if x is None else f"{x[0]:+.3f} [{x[1]:+.3f} {x[2]:+.3f}]"
