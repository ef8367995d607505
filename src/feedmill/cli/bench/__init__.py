"""``feedmill bench``: one file for each thing that is measured; every one takes --quick and --json."""

from __future__ import annotations

from pathlib import Path

import typer

from feedmill.cli.bench.fold import fold_rows
from feedmill.cli.bench.log import log_rows
from feedmill.cli.bench.measure import Quick, done
from feedmill.cli.bench.serving import serving_rows
from feedmill.cli.options import Dir, Json

bench_app = typer.Typer(no_args_is_help=False, invoke_without_command=True, help="Measure on this machine.")
DEMO = Path("demo")


@bench_app.callback()
def everything(ctx: typer.Context, quick: Quick = False, json: Json = None, folder: Dir = DEMO) -> None:
    """Without a name: all of them."""
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
