"""``feedmill bench``: one file for each thing that is measured; every one takes --quick and --json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from feedmill.cli.bench.fold import fold_rows
from feedmill.cli.bench.log import log_rows
from feedmill.cli.bench.measure import Quick, done, of_parts
from feedmill.cli.bench.serving import serving_rows
from feedmill.cli.options import Dir, Json, interruptible, writable
from feedmill.metrics.rows import BenchRow

bench_app = typer.Typer(no_args_is_help=False, invoke_without_command=True, help="Measure on this machine.")
DEMO = Path("demo")
Data = Annotated[Path | None, typer.Option("--data", help="The folder of real data: FEEDMILL_DATA, or ../shared/data.")]


@bench_app.callback()
def everything(ctx: typer.Context, quick: Quick = False, json: Json = None, folder: Dir = DEMO) -> None:
    """Without a name: the service, the fold and the log. The others take longer, and are asked for by name."""
    if ctx.invoked_subcommand is None:
        done([*serving_rows(folder, quick), *fold_rows(quick), *log_rows(quick)], json)


@bench_app.command()
def serving(quick: Quick = False, json: Json = None, folder: Dir = DEMO) -> None:
    """POST /v1/feed through HTTP, and how soon an acknowledged event shows in the next feed."""
    done(serving_rows(folder, quick), json)


@bench_app.command()
def fold(quick: Quick = False, json: Json = None) -> None:
    """Events folded into state per second, against the same counters in Polars."""
    done(fold_rows(quick), json)


@bench_app.command()
def log(quick: Quick = False, json: Json = None) -> None:
    """Durable appends: one event at a time, and in batches, against plain SQLite rows."""
    done(log_rows(quick), json)


Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="A part, a table, a split, a model or a peer, by name; may be repeated."),
]

# What follows is imported when it is asked for: each has rivals and data of its own.


@bench_app.command()
@interruptible
def join(quick: Quick = False, json: Json = None) -> None:
    """Feedback joined to impressions: events per second in memory and from the log, memory, against a Python dict."""
    from feedmill.cli.bench.join import join_rows

    done(join_rows(quick), json)


@bench_app.command()
@interruptible
def loop(quick: Quick = False, json: Json = None) -> None:
    """From an acknowledged like to a changed feed, and to a changed user vector, through HTTP."""
    from feedmill.cli.bench.loop import loop_rows

    done(loop_rows(quick), json)


@bench_app.command()
def keys(quick: Quick = False, json: Json = None) -> None:
    """What the check of a key costs a request, right or wrong."""
    from feedmill.cli.bench.keys import keys_rows

    done(keys_rows(quick), json)


@bench_app.command()
def kernels(quick: Quick = False, json: Json = None, only: Only = None) -> None:
    """ItemCF, Swing and UserCF: seconds and memory against implicit, sparse_dot_topn, recfarm and SciPy."""
    from feedmill.cli.bench.kernels import kernels_rows

    done(kernels_rows(quick, only or ()), json)


@bench_app.command()
def index(quick: Quick = False, json: Json = None) -> None:
    """Vector indexes: time to build, time per query, recall against exact."""
    from feedmill.cli.bench.index import index_rows

    done(index_rows(quick), json)


@bench_app.command()
def text(quick: Quick = False, json: Json = None) -> None:
    """DSSM with a bag, a CNN and an LSTM against BM25: AUC, recall and cost per query."""
    from feedmill.cli.bench.text import text_rows

    done(text_rows(quick), json)


@bench_app.command()
def rollup(quick: Quick = False, json: Json = None) -> None:
    """The tables of business metrics: events per second, keeping up against starting over, DuckDB beside it."""
    from feedmill.cli.bench.rollup import rollup_rows

    done(rollup_rows(quick), json)


@bench_app.command()
def two_tower(quick: Quick = False, json: Json = None) -> None:
    """Two-tower training: positives per second and recall against torch-rechub."""
    from feedmill.cli.bench.two_tower import two_tower_rows

    done(two_tower_rows(quick), json)


@bench_app.command()
def ablation(quick: Quick = False, json: Json = None, data: Data = None) -> None:
    """What corrections, self-supervision, features and depth are worth to the retrieval models, on MovieLens 100K."""
    from feedmill.cli.bench.ablation import ablation_rows

    done(ablation_rows(quick, data), json)


Page = Annotated[
    Path | None,
    typer.Option("--page", help="Write this page and its plots; with --from, from figures measured before."),
]
Source = Annotated[
    list[Path] | None, typer.Option("--from", help="Measure nothing: figures that --json wrote; may be repeated.")
]


def _paged(
    measure: Callable[[], list[BenchRow]],
    write: Callable[[Path, Sequence[Mapping[str, Any]]], None],
    json: Path | None,
    page: Path | None,
    source: list[Path] | None,
) -> None:
    """Figures measured now, or before; the page with them where one is asked for."""
    from feedmill.cli.bench.page import figures, read

    writable(json)
    writable(page)
    if source:
        found = read(source)
    else:
        rows = measure()
        done(rows, json)
        found = figures(rows)
    if page is not None:
        write(page, found)
        typer.echo(f"wrote {page}")


@bench_app.command()
@interruptible
def ranking(
    quick: Quick = False,
    json: Json = None,
    data: Data = None,
    only: Only = None,
    page: Page = None,
    source: Source = None,
) -> None:
    """Multi-task models, trees, calibration, cold start and serving cost of the ranker, beside other libraries."""
    from feedmill.cli.bench.ranking import page as ranking_page
    from feedmill.cli.bench.ranking import ranking_rows

    _paged(lambda: ranking_rows(quick, data, only or ()), ranking_page.write, json, page, source)


@bench_app.command()
def rerank(quick: Quick = False, json: Json = None, page: Page = None, source: Source = None) -> None:
    """MMR, DPP and the other rules: microseconds of 300 candidates to 30 picks, against NumPy and the definitions."""
    from feedmill.cli.bench.rerank import rerank_rows, write

    _paged(lambda: rerank_rows(quick), write, json, page, source)


@bench_app.command()
@interruptible
def retrieval(
    quick: Quick = False,
    json: Json = None,
    data: Data = None,
    only: Only = None,
    page: Page = None,
    source: Source = None,
) -> None:
    """Every channel and their merge, by full ranking on Gowalla and MovieLens: quality, seconds, peers."""
    from feedmill.cli.bench.retrieval import page as retrieval_page
    from feedmill.cli.bench.retrieval import retrieval_rows

    _paged(lambda: retrieval_rows(quick, data, only or ()), retrieval_page.write, json, page, source)


@bench_app.command()
@interruptible
def watch_time(
    quick: Quick = False,
    json: Json = None,
    data: Data = None,
    only: Only = None,
    page: Page = None,
    source: Source = None,
) -> None:
    """Every watch-time head on one trunk, split and budget: error, order, calibration, cost, significance."""
    from feedmill.cli.bench.watch_time import page as watch_time_page
    from feedmill.cli.bench.watch_time import watch_time_rows

    _paged(lambda: watch_time_rows(quick, data, only or ()), watch_time_page.write, json, page, source)


@bench_app.command()
@interruptible
def experiments(
    quick: Quick = False, json: Json = None, only: Only = None, page: Page = None, source: Source = None
) -> None:
    """Assignment: cost, uniformity. Analysis on known truths: A/A, peeking, power, sample ratio, CUPED, roll-out."""
    from feedmill.cli.bench.experiments import PARTS
    from feedmill.cli.bench.experiments import page as experiments_page

    _paged(lambda: of_parts(PARTS, quick, only or ()), experiments_page.write, json, page, source)


@bench_app.command()
@interruptible
def freshness(quick: Quick = False, json: Json = None, page: Page = None, source: Source = None) -> None:
    """Frozen, nightly, incremental, both: NE day by day on logs that drift, calibration, and what learning on costs."""
    from feedmill.cli.bench.freshness import freshness_rows
    from feedmill.cli.bench.freshness import page as freshness_page

    _paged(lambda: freshness_rows(quick), freshness_page.write, json, page, source)


@bench_app.command()
@interruptible
def guard(quick: Quick = False, json: Json = None, page: Page = None, source: Source = None) -> None:
    """Broken streams through the joiner and a learner, with the guard and without; alarms in a quiet month."""
    from feedmill.cli.bench.guard import guard_rows
    from feedmill.cli.bench.guard import page as guard_page

    _paged(lambda: guard_rows(quick), guard_page.write, json, page, source)


@bench_app.command()
@interruptible
def simulate(
    quick: Quick = False, json: Json = None, only: Only = None, page: Page = None, source: Source = None
) -> None:
    """Policies, parts of the chain, new videos, experiments against the truth, and speed with a simulated audience."""
    from feedmill.cli.bench.simulate import PARTS
    from feedmill.cli.bench.simulate import page as simulate_page

    _paged(lambda: of_parts(PARTS, quick, only or ()), simulate_page.write, json, page, source)
