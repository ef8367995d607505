"""The event log: the one thing that is written, from which everything else is derived."""

from __future__ import annotations

from feedmill.core.protocols import EventLog
from feedmill.core.registry import Registry

LOGS: Registry[EventLog] = Registry(
    "log",
    {
        "memory": "feedmill.log.memory:MemoryLog",
        "sqlite": "feedmill.log.sqlite:SqliteLog",
    },
)
