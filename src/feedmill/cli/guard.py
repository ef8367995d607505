"""``feedmill guard``: what is not learned from, and why; said by hand, learn on or leave out."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from feedmill.cli.options import HERE, Dir, interruptible, workspace
from feedmill.core.clock import WallClock
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.samples.guard.by_hand import Order

guard_app = typer.Typer(no_args_is_help=True, help="What is not learned from, because the stream was broken.")
OPEN = 3  # the exit code of `status` while learning is cut off
Why = Annotated[str, typer.Option("--why", help="For whoever asks later.")]
Who = Annotated[str, typer.Option("--who", help="Who says so; your user name.")]


@guard_app.command()
@interruptible
def status(folder: Dir = HERE) -> None:
    """Whether the joined stream is healthy, and every stretch in quarantine; exit code 3 while learning is cut off."""
    from feedmill.samples.guard.verdict import moment, verdict_of

    found = verdict_of(workspace(folder))
    if found is None:
        typer.echo("nobody has looked yet: the guard works in feedmill join")
        return
    if found.judged_ms is None:
        judged = "judged nothing yet: too few impressions with a request id"
    else:
        judged = f"judged up to {moment(found.judged_ms)}"
    typer.echo(
        f"{'OPEN: nothing new is learned' if found.is_open else 'ok'}; {judged}, event {found.offset:,} of the log"
    )
    for line in found.words():
        typer.echo(f"  {line}")
    if found.usual:
        typer.echo("usual: " + ", ".join(f"{name} {rate:.4g}" for name, rate in found.usual.items()))
    if found.is_open:
        typer.echo("it closes by itself when the stream is as it was; if it will not be: feedmill guard resume")
        raise typer.Exit(OPEN)


@guard_app.command()
@interruptible
def resume(folder: Dir = HERE, why: Why = "", who: Who = "") -> None:
    """Learn on: what comes now is the new normal. What was left out stays left out."""
    from feedmill.samples.guard.by_hand import Order

    at = _say(workspace(folder), Order("resume", who or _me(), why))
    typer.echo(f"event {at:,} of the log says so; the joiner heeds it when it comes there")


@guard_app.command()
@interruptible
def quarantine(
    start: Annotated[str, typer.Argument(metavar="FROM", help="2026-11-22T12:30, or milliseconds since 1970 UTC.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="The same; not in it.")],
    folder: Dir = HERE,
    why: Why = "",
    who: Who = "",
) -> None:
    """Leave out what was shown from FROM to TO; what has been learned from it is undone by the next update.

    A time without a zone is in samples.join.timezone.
    """
    from feedmill.samples.guard.by_hand import Order
    from feedmill.samples.joiner import JoinConfig

    at = workspace(folder)
    zone = ZoneInfo(at.section("samples.join", JoinConfig).timezone)
    from_ms, to_ms = _time(start, zone), _time(end, zone)
    if from_ms >= to_ms:
        raise DataError(f"a stretch from {start} to {end}", "one that ends after it begins")
    offset = _say(at, Order("quarantine", who or _me(), why, from_ms, to_ms))
    typer.echo(f"event {offset:,} of the log says so; the joiner heeds it when it comes there")


def _say(at: Workspace, order: Order) -> int:
    """Append what is said to the log; its offset."""
    from feedmill.log.whole import open_log
    from feedmill.samples.guard.by_hand import event

    log = open_log(at)
    try:
        return log.append(event(order, WallClock().now_ms())).offset - 1
    finally:
        log.close()


def _time(text: str, zone: ZoneInfo) -> int:
    try:
        if text.isdigit():
            return int(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f'"{text}"', "a time such as 2026-11-22T12:30, or milliseconds since 1970") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
