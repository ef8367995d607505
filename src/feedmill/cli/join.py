"""``feedmill join``: from the log to labelled samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, Set, workspace
from feedmill.core.progress import console

if TYPE_CHECKING:
    from feedmill.samples.joiner import Counts

COLUMNS = (
    *("kind", "window", "seen", "joined", "grown", "dup.", "late", "orphan", "organic", "early"),
    *("samples", "positive", "negative"),
)


def join(
    folder: Dir = HERE,
    settings: Set = None,
    until_end: Annotated[
        bool, typer.Option("--until-end/--follow", help="Stop at the end of the log, or wait for more.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Forget what was joined before, and start where the log begins.")
    ] = False,
) -> None:
    """Join feedback to impressions by samples.join.windows, from the last checkpoint on; samples go to samples/day=…/.

    It may be stopped at any moment: the same command goes on, and the files are the same.
    """
    from feedmill.samples.joiner.run import folder_of, run

    at = workspace(folder, settings)
    ran = run(at, again=again, until_end=until_end)
    for note in ran.notes:
        console.print(f"[yellow]note:[/] {note}")
    typer.echo(impressions(ran.counts))
    show.out.print(feedback(ran.counts, f"events {ran.start:,} to {ran.offset:,} joined into {folder_of(at)}"))


def impressions(counts: Counts) -> str:
    """What became of impressions, as sentences."""
    refused = {
        "came twice": counts.duplicate,
        "came after their windows": counts.stale,
        "have no request id": counts.organic,
        "closed early, for want of room": counts.forced,
        "were stamped in the future": counts.repaired,
    }
    also = "".join(f"; {n:,} {what}" for what, n in refused.items() if n)
    whole = f"{counts.complete:,} samples with all labels + {counts.waiting:,} waiting"
    return f"{counts.accepted:,} impressions = {whole}{also}"


def feedback(counts: Counts, title: str) -> Table:
    """What became of each kind of feedback; seen is the sum of the seven columns after it."""
    out = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for column in COLUMNS:
        out.add_column(column, no_wrap=True, justify="left" if column == "kind" else "right")
    for k in counts.kinds:
        parts = (k.seen, k.joined, k.grown, k.duplicate, k.late, k.orphan, k.organic, k.early)
        out.add_row(k.kind, f"{k.window_s:g} s", *(f"{n:,}" for n in (*parts, k.closed, k.positive, k.negative)))
    return out
