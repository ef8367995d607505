"""The ``feedmill`` command: mounts the sub-commands and turns errors into words."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Compiled kernels are kept beside the interpreter, so that they are compiled once per environment; before numba is
# imported by anything.
if os.access(sys.prefix, os.W_OK):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba"))

import typer
from rich.markup import escape

from feedmill.cli import (
    bench,
    data,
    demo,
    doctor,
    experiment,
    feed,
    guard,
    join,
    keys,
    learn,
    models,
    report,
    run,
    simulate,
    start,
    tune,
    update,
)  # fmt: skip
from feedmill.cli.options import interruptible
from feedmill.core.errors import FeedmillError
from feedmill.core.progress import console
from feedmill.core.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A log of what people saw and did -> a feed that keeps learning.",
    epilog="Start with: feedmill demo. Or, on your own log: init, ingest, train, evaluate, serve.",
)
for command in (
    *(demo.demo, start.init, start.config, data.ingest, learn.train, learn.evaluate, tune.tune, update.update),
    *(run.run, join.join, feed.serve, feed.recommend, feed.trace, simulate.simulate, doctor.doctor),
):
    app.command()(interruptible(command))
app.add_typer(data.data_app, name="data")
app.add_typer(models.models_app, name="models")
app.add_typer(experiment.experiment_app, name="experiment")
app.add_typer(guard.guard_app, name="guard")
app.add_typer(keys.keys_app, name="keys")
app.add_typer(bench.bench_app, name="bench")
app.add_typer(report.report_app, name="report")


@app.callback(invoke_without_command=True)
def version(
    ctx: typer.Context, show: bool = typer.Option(False, "--version", help="Print the version and exit.")
) -> None:
    """Options before any command."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run, and say what went wrong in words: exit 1 for an error with a cause, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        app()
    except FeedmillError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
