"""``feedmill ingest`` and ``feedmill data``: events in, and what becomes of them (``cli.life``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedmill.cli import ledger
from feedmill.cli.life import forget, keep
from feedmill.cli.options import HERE, Dir, interruptible, workspace
from feedmill.core.clock import WallClock
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.core.protocols import Dataset
from feedmill.core.workspace import Workspace

data_app = typer.Typer(no_args_is_help=True, help="Known data sets; forgetting, dropping, compacting, exporting.")
for command in (forget.forget, keep.retain, keep.compact, keep.export, keep.restore):
    data_app.command()(command)


def ingest(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines; csv and jsonl may be gzipped.")],
    mapping: Annotated[Path | None, typer.Option("--map", help="TOML that says which column is what.")] = None,
    folder: Dir = HERE,
    again: Annotated[bool, typer.Option("--again", help="Even if rows of this file are stored already.")] = False,
) -> None:
    """Append a file of events to the log. Running it again adds nothing twice; bad rows go to rejects/."""
    from feedmill.datasets.mapping import MappedDataset
    from feedmill.datasets.tables import read_mapping

    at, this = workspace(folder), ledger.entry(file, mapping)
    chosen = read_mapping(mapping) if mapping else None
    if not again and not (chosen and chosen.events.event_id):
        ledger.check(at, this)
    load(MappedDataset(file, chosen), at)
    ledger.note(at, this)


@data_app.command("list")
def list_() -> None:
    """The data sets that have a loader of their own."""
    from feedmill.datasets import DATASETS

    for name in DATASETS:
        typer.echo(f"{name:<22} {(DATASETS[name].__doc__ or '').strip().splitlines()[0]}")


@data_app.command("import")
@interruptible
def import_(
    name: Annotated[str, typer.Argument(help="ml-100k, or another name of `feedmill data list`.")] = "ml-100k",
    source: Annotated[Path | None, typer.Option("--from", help="A local folder with its files.")] = None,
    folder: Dir = HERE,
) -> None:
    """Append a known data set to the log: fetched if it can be, else from a local folder."""
    from feedmill.datasets import DATASETS

    make = DATASETS[name]
    at = workspace(folder)
    load(make(source), at)  # type: ignore[call-arg]


def load(dataset: Dataset, at: Workspace) -> None:
    """Ingest a data set and say what came of it."""
    from feedmill.datasets.ingest import ingest as run
    from feedmill.log.whole import open_log

    if dataset.licence:
        console.print(f"[dim]{dataset.name}: {dataset.licence}[/]")
    log = open_log(at)
    try:
        report = run(dataset, log, at.rejects, WallClock().now_ms())
        typer.echo(
            f"{report.n_events:,} events appended, {report.n_duplicate:,} were there already, "
            f"{report.n_rejected:,} rejected; the log holds {log.end:,}"
        )
    finally:
        log.close()
    for reason, n in sorted(report.reasons.items(), key=lambda r: -r[1])[:10]:
        typer.echo(f"  {n:>8,}  {reason}")
    if report.n_rejected:
        typer.echo(f"  the rejected rows are in {at.rejects}")
    if report.n_rejected and not report.n_events + report.n_duplicate:
        fix = "mend the file or the mapping, see the reasons above"
        raise DataError("every row was rejected", "rows that are events", fix)
