"""How each long-running part is doing, as one small file a part: whoever shows it need not know the part.

Serving, joining, learning and guarding are processes of their own, and a nightly report ends before anybody looks. Each
writes ``status/PART.json`` now and then; the service turns all of them into metrics, a person reads them with ``cat``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import WorkspaceError
from feedmill.core.workspace import Workspace

OK = "ok"
UNREADABLE = "unreadable"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class PartStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One part as it last said.

    Attributes:
        part: "serve", "join", "learn", "guard", "skew"; the name of the file.
        pid: the process that wrote it.
        time_ms: when, by the machine's clock: a part that has ended, or hangs, shows by its age.
        offset: events of the log that it has dealt with.
        state: "ok", or a word for what is not.
        figures: numbers by name, for gauges.
        words: what a person should know.
    """

    part: str
    pid: int = 0
    time_ms: int = 0
    offset: int = 0
    state: str = OK
    figures: dict[str, float] = {}
    words: list[str] = []

    def age_s(self, now_ms: int) -> float:
        """Seconds since it was written; 0 where clocks were set back."""
        return max(0, now_ms - self.time_ms) / 1e3


def report(
    workspace: Workspace,
    part: str,
    *,
    offset: int = 0,
    state: str = OK,
    figures: Mapping[str, float] | None = None,
    words: Sequence[str] = (),
    clock: Clock | None = None,
) -> PartStatus:
    """Write a part's status over its last one, in one step: a reader sees the old or the new, whole.

    Args:
        part: lower-case letters, digits and _.
        clock: None = the machine's, also where the feed runs on an old log's time.

    Raises:
        ValueError: a name that is none.
        WorkspaceError: the file cannot be written.
    """
    if not _NAME.fullmatch(part):
        raise ValueError(f"a part called {part!r}")
    status = PartStatus(
        part=part,
        pid=os.getpid(),
        time_ms=(clock or WallClock()).now_ms(),
        offset=offset,
        state=state,
        figures={name: float(value) for name, value in (figures or {}).items()},
        words=list(words),
    )
    folder = workspace.status
    unfinished = folder / f".{part}.{status.pid}"
    try:
        folder.mkdir(exist_ok=True)
        unfinished.write_bytes(msgspec.json.encode(status) + b"\n")
        unfinished.replace(folder / f"{part}.json")
    except OSError as e:
        raise WorkspaceError(f"{folder}: {e.strerror}", "a folder that can be written to", "free some space") from None
    return status


def statuses(workspace: Workspace) -> dict[str, PartStatus]:
    """Every part that has ever said how it is, by name; one whose file is none has the state "unreadable"."""
    found = {}
    for file in sorted(workspace.status.glob("*.json")):
        try:
            found[file.stem] = msgspec.json.decode(file.read_bytes(), type=PartStatus)
        except (OSError, msgspec.MsgspecError, UnicodeError) as e:
            found[file.stem] = PartStatus(part=file.stem, state=UNREADABLE, words=[f"{file.name}: {e}"])
    return found
