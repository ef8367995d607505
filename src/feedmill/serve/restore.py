"""A workspace's log, opened as its config says, and read."""

from __future__ import annotations

import inspect

from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.log import LOGS

_CHUNK = 262_144


def open_log(workspace: Workspace) -> EventLog:
    """The log that ``[log]`` names; the embedded one is a file in the workspace.

    Raises:
        ConfigError: an unknown kind or parameter; the message names the nearest.
        LogError: it cannot be opened.
    """
    parameters = dict(workspace.raw.get("log", {}))
    kind = parameters.pop("kind", "sqlite")
    make = LOGS[kind]
    known = [name for name in inspect.signature(make).parameters if (kind, name) != ("sqlite", "path")]
    for name in parameters:
        if name not in known:
            raise ConfigError(f'unknown key "log.{name}"', f"one of {['kind', *known]}", nearest(name, known))
    return make(workspace.log, **parameters) if kind == "sqlite" else make(**parameters)  # type: ignore[call-arg]


def read_all(log: EventLog, upto: int | None = None) -> EventBatch:
    """The first ``upto`` events of a log (all of them) in memory, in order.

    Raises:
        LogError: the log cannot be read.
    """
    batches, offset, end = [], 0, log.end if upto is None else min(upto, log.end)
    with progress("reading the log", end) as advance:
        while offset < end:
            batch, after = log.read(offset, min(_CHUNK, end - offset))
            batches.append(batch)
            advance(after - offset)
            offset = after
    return EventBatch.concat(batches)
