"""``feedmill data retain``, ``compact``, ``export`` and ``restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedmill.cli.life.logs import embedded
from feedmill.cli.options import HERE, Dir, interruptible, timezone, workspace
from feedmill.core.clock import WallClock
from feedmill.core.workspace import Workspace

DAY_MS = 86_400_000


def retain(
    days: Annotated[int, typer.Option("--days", min=0, help="Events of the last DAYS days stay.")],
    folder: Dir = HERE,
) -> None:
    """Drop older events. The state that they made is kept first; samples, versions and offsets stay as they are."""
    from feedmill.serve.config import ServeConfig
    from feedmill.state import StateConfig
    from feedmill.state.retain import retain as run

    at = workspace(folder)
    log = embedded(at)
    try:
        now_ms = WallClock().now_ms()
        if at.section("serve", ServeConfig).clock == "log" and log.end:  # an old log is as if of today
            now_ms = int(log.read(log.end - 1)[0].numpy("time_ms").max())
        config = at.section("state", StateConfig)
        needed = _still_read(at)
        done = run(log, at.state, config, now_ms - days * DAY_MS, needed)
        if done.n_dropped:
            log.shrink()
        typer.echo(f"{done.n_dropped:,} events dropped; the log starts at event {done.start:,} of {log.end:,}")
        if needed is not None and done.start >= needed:
            typer.echo(f"  the joiner resumes from event {needed:,}: join on, and more can go")
    finally:
        log.close()


def _still_read(at: Workspace) -> int | None:
    """The offset that the joiner resumes from; None where nobody joins."""
    from feedmill.samples.joiner import checkpoint
    from feedmill.samples.joiner.run import folder_of

    stored = checkpoint.stored(folder_of(at) / "checkpoints")
    if not stored:
        return 0 if any(folder_of(at).glob("day=*")) else None
    return int(stored[-1].stem) - 1  # the oldest of them; it is known by the event before its offset


def compact(folder: Dir = HERE) -> None:
    """Store many small appends as few large ones: reading the log again is faster, nothing else changes."""
    log = embedded(workspace(folder))
    try:
        n = log.compact()
        if n:
            log.shrink()
        typer.echo(f"{n:,} micro-batches fewer")
    finally:
        log.close()


@interruptible
def export(
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    folder: Dir = HERE,
    zone: Annotated[str, typer.Option("--timezone", help="Default: samples.join.timezone.")] = "",
) -> None:
    """Write every event as Parquet by day, with its offset."""
    from feedmill.log.export import export as run
    from feedmill.log.whole import open_log

    at = workspace(folder)
    log = open_log(at)
    try:
        done = run(log, out, zone or timezone(at))
        typer.echo(f"{done.end - done.start:,} events in {out}, days of {done.timezone}")
    finally:
        log.close()


@interruptible
def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `feedmill data export` wrote.")], folder: Dir = HERE
) -> None:
    """Append an export to the log, in its order; nothing twice."""
    from feedmill.log.export import restore as run
    from feedmill.log.whole import open_log

    log = open_log(workspace(folder))
    try:
        n_new, n_known = run(source, log)
        typer.echo(f"{n_new:,} events appended, {n_known:,} were there already; the log holds {log.end:,}")
    finally:
        log.close()
