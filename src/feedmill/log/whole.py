"""A workspace's log, opened as its config says, and read whole."""

from __future__ import annotations

from typing import Any

from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace, component
from feedmill.log import LOGS

CHUNK = 262_144


def open_log(workspace: Workspace) -> EventLog:
    """The log that ``[log]`` names; the embedded one is a file in the workspace.

    Raises:
        ConfigError: an unknown kind or parameter; the message names the nearest.
        LogError: it cannot be opened.
    """
    chosen = component(workspace.raw.get("log", {}), LOGS, "log", "sqlite")
    make: Any = chosen.cls
    log: EventLog = make.of_workspace(workspace.path, chosen.config)
    return log


def read_all(log: EventLog, upto: int | None = None, start: int | None = None) -> EventBatch:
    """Every event that a log has from offset ``start`` (its own) to ``upto`` (its end) in memory, in order.

    Raises:
        LogError: the log cannot be read.
    """
    offset, end = log.start if start is None else start, log.end if upto is None else min(upto, log.end)
    batches = []
    with progress("reading the log", max(end - offset, 0)) as advance:
        while offset < end:
            batch, after = log.read(offset, min(CHUNK, end - offset))
            batches.append(batch)
            advance(after - offset)
            offset = after
    return EventBatch.concat(batches) if batches else EventBatch.empty()
