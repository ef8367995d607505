"""``feedmill report``: what the data behind the models looks like, and where the ranker is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedmill.cli.options import HERE, Dir, Json, Set, interruptible, workspace, writable

report_app = typer.Typer(
    no_args_is_help=True, help="Reports on features, models, slates, experiments, business, simulations."
)


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
    from feedmill.cli.reports.features import report_features

    writable(json)
    report_features(workspace(folder, settings), at, rows, top, json)


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
    from feedmill.cli.reports.ranking import report_ranking

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
    from feedmill.cli.reports.watch_time import report_watch_time

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
    from feedmill.cli.reports.diversity import SLATES, THETAS, WINDOWS, report_diversity
    from feedmill.cli.reports.diversity_points import Grid

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
    from feedmill.cli.reports.experiment import report_experiment

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
    from feedmill.cli.reports.experiment import report_holdout

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
    from feedmill.cli.reports.business import report_business

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
    from feedmill.cli.reports.skew import report_skew

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
    from feedmill.cli.reports.join import report_join

    writable(json)
    report_join(workspace(folder, settings), json, out)


@report_app.command()
def simulate(
    folder: Annotated[Path, typer.Option("--dir", "-d", help="The folder of the simulation.")] = Path("simulation"),
    out: Annotated[Path | None, typer.Option("--out", help="A folder for a page with pictures.")] = None,
    json: Json = None,
) -> None:
    """What a simulated audience made of feeds: beside the oracle, who came again, what was shown, new videos."""
    from feedmill.cli.reports.simulate import report_simulate

    writable(json)
    report_simulate(folder, out, json)
