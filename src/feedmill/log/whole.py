"""A workspace's log, opened as its config says, and read whole."""

from __future__ import annotations

from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.log import LOGS

CHUNK = 262_144


def open_log(workspace: Workspace) -> EventLog:
    """The log that ``[log]`` names; the embedded one is a file in the workspace.

    Raises:
        LogError: it cannot be opened.
        ConfigError: there is no such kind.
    """
    parameters = dict(workspace.raw.get("log", {}))
    kind = parameters.pop("kind", "sqlite")
    make = LOGS[kind]
    return make(workspace.log, **parameters) if kind == "sqlite" else make(**parameters)  # type: ignore[call-arg]


def read_all(log: EventLog, upto: int | None = None) -> EventBatch:
    """The first ``upto`` events of a log (all of them) in memory, in order.

    Raises:
        LogError: the log cannot be read.
    """
    batches, offset, end = [], 0, log.end if upto is None else min(upto, log.end)
    with progress("reading the log", end) as advance:
        while offset < end:
            batch, after = log.read(offset, min(CHUNK, end - offset))
            batches.append(batch)
            advance(after - offset)
            offset = after
    return EventBatch.concat(batches)
