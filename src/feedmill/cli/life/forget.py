"""``feedmill data forget``: take a person out of a workspace, and prove it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, workspace
from feedmill.core.clock import WallClock
from feedmill.core.errors import DataError, NotFoundError
from feedmill.core.workspace import Workspace


def forget(
    users: Annotated[list[str], typer.Argument(help="The ids as the log has them.")],
    folder: Dir = HERE,
    prove: Annotated[bool, typer.Option("--prove", help="Only look where the ids still stand.")] = False,
) -> None:
    """Take people out of the log, the state, samples, traces and rejects. Offsets, counts and models stay valid."""
    at = workspace(folder)
    if prove:
        raise typer.Exit(_prove(at, users))
    _forget(at, users)
    raise typer.Exit(_prove(at, users))


def _forget(at: Workspace, users: list[str]) -> None:
    from feedmill.cli.life import copies
    from feedmill.cli.life.logs import embedded
    from feedmill.publish import versions
    from feedmill.state import State, StateConfig
    from feedmill.state.forget import Forgotten
    from feedmill.state.forget import forget as run

    log = embedded(at)
    try:
        state = State.restore(at.state, log, at.section("state", StateConfig))
        known = copies.checkpoints(at, log)
        done = Forgotten(log.epoch, 0, dict.fromkeys(users, (-1, "")), {})
        try:
            done = run(
                log, state, users, WallClock().now_ms(), [d for v in versions(at.artifacts) if (d := _digest(v))]
            )
            typer.echo(f"epoch {done.epoch}: {done.n_events:,} events are nobody's now")
        except NotFoundError as e:  # an earlier run may have been stopped after the log, or others have written since
            typer.echo(f"{e.given}; looking through what was derived from it")
        log.shrink()
        _save(at, state, log)
        everybody = dict.fromkeys(users, (-1, "")) | dict(done.users)
        for what, n in copies.scrub(at, log, everybody, done.requests, known).items():
            typer.echo(f"  {n:,} {what}")
    finally:
        log.close()


def _digest(version: Any) -> tuple[int, str] | None:
    n, digest = version.about.get("n_users"), version.about.get("users_digest")
    return (n, digest) if isinstance(n, int) and isinstance(digest, str) else None


def _save(at: Workspace, state: Any, log: Any) -> None:
    """Snapshots without them: the newest, and the one at the start of a log that was cut."""
    from feedmill.state import State
    from feedmill.state.snapshot import newest
    from feedmill.state.state import BASE

    state.save(at.state)
    if newest(at.state / BASE) is not None:
        base = State.load(at.state / BASE)
        base.keep_up(log)
        base.save(at.state / BASE)


def _prove(at: Workspace, users: list[str]) -> int:
    from feedmill.cli.life.remains import check, remains

    check(at)
    n = 0
    for user_id in users:
        if not user_id:
            raise DataError('the id ""', "somebody's id")
        for found in remains(at, user_id):
            n += 1
            place = escape(str(found.path.relative_to(at.path)))
            show.out.print(f"{escape(user_id)}: {found.n:,} {found.where} in {place}")
    typer.echo("no file of the workspace has them any more" if not n else f"{n} places still have them")
    return int(n > 0)
