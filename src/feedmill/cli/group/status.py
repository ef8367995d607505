"""``status/run.json``: how the group is doing, for whoever shows it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import WorkspaceError
from feedmill.core.workspace import Workspace

FOLDER = "status"


def report(
    workspace: Workspace,
    part: str,
    *,
    offset: int = 0,
    state: str = "ok",
    figures: Mapping[str, float] | None = None,
    words: Sequence[str] = (),
    clock: Clock | None = None,
) -> None:
    """Write a part's status over its last one, in one step: a reader sees the old or the new, whole.

    Args:
        part: the name of the file.
        offset: events of the log that it has dealt with; the group itself deals with none.
        state: "ok", or a word for what is not.
        figures: numbers by name.
        words: what a person should know.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    now_ms = (clock or WallClock()).now_ms()
    about = {"part": part, "pid": os.getpid(), "time_ms": now_ms, "offset": offset, "state": state}
    folder = workspace.path / FOLDER
    unfinished = folder / f".{part}.{os.getpid()}"
    try:
        folder.mkdir(exist_ok=True)
        unfinished.write_bytes(msgspec.json.encode({**about, "figures": figures or {}, "words": words}) + b"\n")
        unfinished.replace(folder / f"{part}.json")
    except OSError as e:
        raise WorkspaceError(f"{folder}: {e.strerror}", "a folder that can be written to", "free some space") from None


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Be the one group on a workspace; the lock goes with the process, however it ends.

    Raises:
        WorkspaceError: there is another; the message has its pid.
    """
    folder = workspace.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        file = (folder / "run.lock").open("a+", encoding="utf-8")
    except OSError as e:
        raise WorkspaceError(f"{folder}: {e.strerror}", "a folder that can be written to") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            given, fix = f"{workspace.path} is run by process {who}", "stop that process, or leave it the work"
            raise WorkspaceError(given, "one `feedmill run` on a workspace", fix) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
