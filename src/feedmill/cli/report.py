"""``feedmill report``: what the data behind the models looks like, and where the ranker is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, Json, Set, interruptible, workspace, writable
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.core.batches import ProbeBatch
    from feedmill.core.events import EventBatch
    from feedmill.features.report import Line
    from feedmill.state import State

report_app = typer.Typer(no_args_is_help=True, help="Reports on features, models, slates, experiments, the business.")


@report_app.command()
def features(
    folder: Dir = HERE,
    settings: Set = None,
    at: Annotated[float, typer.Option(min=0.05, max=0.95, help="Share of the requests in the earlier part.")] = 0.5,
    rows: Annotated[int, typer.Option(min=100, help="Requests to read, evenly over the log.")] = 50_000,
    top: Annotated[int, typer.Option(min=0, help="Lines to print, the most drifted first; 0 = all.")] = 40,
    json: Json = None,
) -> None:
    """How much each feature says, and how it drifted from the earlier to the later part of the log."""
    writable(json)
    lines, what = run(workspace(folder, settings), at, rows)
    show.out.print(table(lines[: top or None], f"{what}; {len(lines)} features, the most drifted first"))
    if json is not None:
        Path(json).write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=1) + b"\n")


@report_app.command()
def ranking(
    folder: Dir = HERE,
    settings: Set = None,
    by: Annotated[str, typer.Option(help="item.duration_s, item.topic, or an attribute: item.NAME, user.NAME.")] = (
        "item.duration_s"
    ),
    buckets: Annotated[int, typer.Option(min=1, help="Ranges, or the most frequent values.")] = 5,
    head: Annotated[list[str] | None, typer.Option(help="Of these heads only; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of the ranker that is trained for it.")] = 0,
    json: Json = None,
) -> None:
    """Where the ranker is right and where not, bucket by bucket: AUC, normalised entropy, calibration.

    Trains a ranker on the older three quarters of the training side, and asks it about the impressions after that.
    """
    from feedmill.cli.report_ranking import report_ranking

    report_ranking(workspace(folder, settings), by, buckets, head or [], seed, json)


@report_app.command()
def watch_time(
    out: Annotated[Path, typer.Option("--out", help="The folder for index.html and its pictures.")],
    folder: Dir = HERE,
    settings: Set = None,
    data: Annotated[
        Path | None, typer.Option(help="Instead of a workspace, a CSV file with duration_ms and playing_time (ms).")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Compare heads: figures of bench watch-time --json; may be repeated."),
    ] = None,
) -> None:
    """A page of pictures: watch times beside what losses assume of them, and how the heads compare."""
    from feedmill.cli.charts.watched import of_file, of_workspace
    from feedmill.cli.report_watch_time import report_watch_time

    watched = of_workspace(workspace(folder, settings)) if data is None else of_file(data)
    report_watch_time(watched, source or [], out)


@report_app.command()
def diversity(
    folder: Dir = HERE,
    settings: Set = None,
    requests: Annotated[int, typer.Option(min=1, help="Users to ask for, a seeded draw.")] = 200,
    theta: Annotated[list[float] | None, typer.Option(min=0, max=1, help="Instead of nine; may be repeated.")] = None,
    window: Annotated[list[int] | None, typer.Option(min=1, max=1000, help="Instead of 5, 10, 30; repeatable.")] = None,
    k: Annotated[list[int] | None, typer.Option("-k", min=2, max=1000, help="Slates, instead of 10, 30.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw of users.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for index.html and its pictures.")] = None,
    json: Json = None,
) -> None:
    """Relevance against diversity as theta and window of MMR and DPP move, what that takes, and what rules cost.

    Asks the promoted model for the users whose next items its split holds out, and re-ranks their candidates.
    """
    from feedmill.cli.diversity_points import Grid
    from feedmill.cli.report_diversity import SLATES, THETAS, WINDOWS, report_diversity

    writable(json)
    grid = Grid(theta or THETAS, window or WINDOWS, k or SLATES)
    report_diversity(workspace(folder, settings), grid, requests, seed, out, json)


@report_app.command()
@interruptible
def experiment(
    name: Annotated[str, typer.Argument(help="Of the experiment.")],
    folder: Dir = HERE,
    settings: Set = None,
    planned: Annotated[
        int | None,
        typer.Option("--planned-users", min=2, help="Of all arms, as stated beforehand: one look then decides."),
    ] = None,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="False positives that are accepted.")] = 0.05,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for a page with pictures.")] = None,
    json: Json = None,
) -> None:
    """Is it better? Every metric of every arm against the control, and whether to believe it."""
    from feedmill.cli.report_experiment import report_experiment

    writable(json)
    report_experiment(workspace(folder, settings), name, planned, alpha, out, json)


@report_app.command()
@interruptible
def holdout(
    folder: Dir = HERE,
    settings: Set = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", "-m", help="Of these; none = the north star.")] = None,
    json: Json = None,
) -> None:
    """What all launches did together, beside the sum of what their experiments promised."""
    from feedmill.cli.report_experiment import report_holdout

    writable(json)
    report_holdout(workspace(folder, settings), metric or [], json)


@report_app.command()
@interruptible
def business(
    folder: Dir = HERE,
    settings: Set = None,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for a page with pictures.")] = None,
    json: Json = None,
) -> None:
    """Users, time, retention, rates, diversity and new items: the last day, 7 and 28 days, and how they changed."""
    from feedmill.cli.report_business import report_business

    writable(json)
    report_business(workspace(folder, settings), out, json)


@report_app.command()
@interruptible
def skew(
    folder: Dir = HERE,
    settings: Set = None,
    limit: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that may differ before it fails.")] = 0.001,
    json: Json = None,
) -> None:
    """Is what was served what the log gives? Features and scores of sampled requests, made again from the log.

    Exits with 1 where more than --limit of the rows differ, so that it can run every night.
    """
    from feedmill.cli.report_skew import report_skew

    writable(json)
    report_skew(workspace(folder, settings), limit, json)


@report_app.command()
def join(
    folder: Dir = HERE,
    settings: Set = None,
    json: Json = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also a folder for index.html and its picture.")] = None,
) -> None:
    """How much of each kind of feedback arrives after w, to choose samples.join.windows, and what they make of it."""
    from feedmill.cli.report_join import report_join

    writable(json)
    report_join(workspace(folder, settings), json, out)


def run(at: Workspace, share: float, rows: int) -> tuple[list[Line], str]:
    """The lines, and in words what they are of.

    Raises:
        DataError: the log has too little behaviour to compare two parts of it.
    """
    from feedmill.features import FeaturesConfig
    from feedmill.features.fit import fit
    from feedmill.features.report import report
    from feedmill.state import Replay

    config, replay = at.section("features", FeaturesConfig), Replay.of_workspace(at)
    events, state, earlier = replay.events, replay.state(), replay.state()
    asked, what = requests(events, state, rows)
    n = int(share * len(asked))
    if not 0 < n < len(asked):
        raise DataError(f"{len(asked)} requests in the log", "two parts of them", "ingest more events, or move --at")
    upto = int(asked.at[n])
    first = earlier.fold(events[:upto], head(asked, n))
    probed = state.fold(events, asked)
    assert first is not None
    assert probed is not None
    spec, arrays = fit(config, earlier, first)
    words = f"{len(asked):,} {what}, the first {n:,} against the rest"
    return report(config, spec, arrays, state, probed, n), words


def requests(events: EventBatch, state: State, most: int) -> tuple[ProbeBatch, str]:
    """Impressions as requests of one candidate each, as of the moment they were asked for, evenly over the log, and
    what they are called; without impressions, what was consumed."""
    import numpy as np

    from feedmill.core.batches import LANES, ProbeBatch
    from feedmill.core.events import Kind
    from feedmill.samples.splits import asked_at, moments

    kind = events.numpy("kind")
    user, item = (ids.rows(events.table.column(c)) for ids, c in ((state.users, "user_id"), (state.items, "item_id")))
    shown, consumed = kind == Kind.IMPRESSION, np.isin(kind, LANES["clicked"] + LANES["liked"])
    is_shown = shown.sum() >= max(1, consumed.sum())
    places = np.flatnonzero((shown if is_shown else consumed) & (user > 0) & (item > 0))
    places = places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(np.int64))]
    at = moments(events, places) if not is_shown else asked_at(events)[places]
    order = np.argsort(at, kind="stable")
    at, places = at[order], places[order]
    probe = ProbeBatch(
        user[places], events.numpy("time_ms")[at], at, item[places], np.arange(len(places), dtype=np.int32)
    )
    return probe, "impressions" if is_shown else "consumed items"


def head(asked: ProbeBatch, n: int) -> ProbeBatch:
    """The first n requests, which have one candidate each."""
    from feedmill.core.batches import ProbeBatch

    return ProbeBatch(asked.user[:n], asked.time_ms[:n], asked.at[:n], asked.item[:n], asked.request_of[:n])


def table(lines: list[Line], title: str) -> Table:
    """Lines for people."""
    out = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for column in ("feature", "known", "used", "distinct", "p50", "p99", "PSI", "noise", "moved", ""):
        out.add_column(column, no_wrap=True, justify="left" if column in ("feature", "") else "right")
    for x in lines:
        quantiles = [f"{x.quantiles[i]:.3g}" for i in (2, 4)] if x.quantiles else ["", ""]
        shares = (f"{x.known:.0%}", f"{x.used:.0%}", f"{x.distinct:,}")
        drift = (f"{x.drift:.2f}", f"{x.noise:.3f}", f"{x.moved:.0%}")
        out.add_row(escape(x.name), *shares, *quantiles, *drift, verdict(x))
    return out


def verdict(x: Line) -> str:
    """A word on a line that needs one."""
    if not x.in_model:
        return "unused"
    if x.drift < max(0.1, 2 * x.noise):
        return ""
    return "shifted" if x.drift >= 0.25 else "drifts"
