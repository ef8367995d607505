"""The plan beside the log: a short file, so that a start does not read the whole log for a few events."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from feedmill.core.events import Kind
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.experiments import lifecycle
from feedmill.experiments.config import ExperimentsConfig
from feedmill.experiments.plan import Plan
from feedmill.experiments.record import Entry

CHUNK = 65_536


class Checkpoint(msgspec.Struct, frozen=True):
    """Every EXPERIMENT event of the log's first ``offset`` events."""

    offset: int
    events: list[Entry]


def restore(path: Path, log: EventLog, config: ExperimentsConfig) -> Plan:
    """The plan at the log's end: the checkpoint's events and the tail's; all of the log's without a checkpoint of it.

    What the log has dropped from its beginning it has kept of experiments; such steps stand right before its start.

    Raises:
        ConfigError: the config does not go with what is running (``lifecycle.consistent``).
        LogError: the log cannot be read.
    """
    kept = log.kept()
    plan, offset = Plan.empty(config).fold(kept, log.start - len(kept)), log.start
    if (found := _read(path, log)) is not None:
        plan, offset = Plan.empty(config), found.offset
        for entry in found.events:
            plan = plan.after(entry)
    end = log.end
    with progress("looking for experiments", end - offset) as advance:
        while offset < end:
            events, after = log.read(offset, min(CHUNK, end - offset))
            plan = plan.fold(events, offset)
            advance(after - offset)
            offset = after
    lifecycle.consistent(plan, config)
    return plan


def save(plan: Plan, path: Path, offset: int | None = None) -> None:
    """Write the checkpoint in one step.

    Args:
        offset: how far the log was folded; None = to the last EXPERIMENT event.

    Raises:
        OSError: the disk does not want it.
    """
    checkpoint = Checkpoint(max(plan.offset, offset or 0), list(plan.entries))
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(checkpoint))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _read(path: Path, log: EventLog) -> Checkpoint | None:
    """The checkpoint, if it can be read, is of this log, and goes on where the log still has what comes next."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except (OSError, msgspec.DecodeError):
        return None
    offsets = [entry.offset for entry in found.events]
    if (
        offsets != sorted(set(offsets))
        or not (offsets or [0])[-1] <= found.offset <= log.end
        or found.offset < log.start
    ):
        return None
    return found if not found.events or _has(log, found.events[-1]) else None


def _has(log: EventLog, entry: Entry) -> bool:
    if not 0 <= entry.offset < log.end:
        return False
    if entry.offset < log.start:
        return entry.payload in log.kept().table.column("payload").to_pylist()
    event, _ = log.read(entry.offset, 1)
    same = event.numpy("payload")[0] == entry.payload
    return bool(np.all(event.numpy("kind") == int(Kind.EXPERIMENT)) and same)
