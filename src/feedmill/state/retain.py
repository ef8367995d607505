"""Dropping old events, once the state that they make is safe: the log then begins where that state stands."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from feedmill.core.progress import progress
from feedmill.log.sqlite import SqliteLog
from feedmill.state.config import StateConfig
from feedmill.state.state import BASE, CHUNK, State


class Retained(NamedTuple):
    """Where the log starts now, and how many events were dropped."""

    start: int
    n_dropped: int


def retain(
    log: SqliteLog, folder: Path, config: StateConfig | None, since_ms: int, at_most: int | None = None
) -> Retained:
    """Drop the events before the first one at or after a time; the newest event always stays.

    First the state as of that event is written under ``folder``, where it stays, so that every state of this log can be
    made again: a crash in between leaves it, and the whole log.

    Args:
        since_ms: events in time order go up to here; one that is older but stands after a newer one stays.
        at_most: the offset that somebody still has to read from; None = nobody.

    Raises:
        ArtifactError: the log was cut before, and the state at its start is gone or of other settings.
        LogError: the log cannot be read or written; then nothing was dropped.
    """
    start = min(_first_since(log, since_ms), log.end - 1, log.end if at_most is None else at_most)
    if start <= log.start:
        return Retained(log.start, 0)
    state = State.at_start(folder, log, config)
    with progress("folding what goes", start - state.offset) as advance:
        while state.offset < start:
            batch, _ = log.read(state.offset, min(CHUNK, start - state.offset))
            state.fold(batch)
            advance(len(batch))
    state.save(folder / BASE)
    with log.rewriting() as rewriter:
        n_dropped = rewriter.drop_before(start)
    return Retained(start, n_dropped)


def _first_since(log: SqliteLog, since_ms: int) -> int:
    offset, end = log.start, log.end
    while offset < end:
        batch, after = log.read(offset, CHUNK)
        young = np.flatnonzero(batch.numpy("time_ms") >= since_ms)
        if len(young):
            return offset + int(young[0])
        offset = after
    return end
