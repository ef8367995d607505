"""A log in memory: for tests, simulations and trying things out. Gone when the process is."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from threading import Condition
from time import monotonic

import pyarrow as pa

from feedmill.core.config import Config
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Erasure, Receipt
from feedmill.log.cut import after_row, check_bounds, micro_batches, only_new, window


class MemoryConfig(Config, frozen=True):
    """``[log] kind = "memory"`` has nothing to set."""


class MemoryLog:
    """The reference ``EventLog``: every other one behaves as this does. Safe to share between threads."""

    Config = MemoryConfig

    @classmethod
    def of_workspace(cls, folder: Path, config: MemoryConfig) -> MemoryLog:
        """An empty log; the folder is not touched."""
        return cls()

    def __init__(self) -> None:
        self._tables: list[pa.RecordBatch] = []
        self._starts: list[int] = []
        self._end = 0
        self._event_ids: set[str] = set()
        self._next_row: dict[str, int] = {}
        self._grown = Condition()
        self._closed = False

    @property
    def end(self) -> int:
        """The offset after the last event."""
        return self._end

    @property
    def start(self) -> int:
        """0: it drops nothing, it is gone as a whole."""
        return 0

    @property
    def epoch(self) -> int:
        """0: it forgets nobody, it is gone as a whole."""
        return 0

    def erasures(self, since: int = 0) -> list[Erasure]:
        """None."""
        return []

    def kept(self) -> EventBatch:
        """Nothing: nothing is dropped."""
        return EventBatch.empty()

    def append(self, batch: EventBatch) -> Receipt:
        """See ``EventLog.append``.

        Raises:
            LogError: the log is closed.
        """
        with self._grown:
            self._open()
            fresh = batch
            if batch.source:
                fresh = after_row(batch, self._next_row.get(batch.source, 0))
                stop = batch.source_row + len(batch)
                self._next_row[batch.source] = max(self._next_row.get(batch.source, 0), stop)
            fresh = only_new(fresh, self._note)
            for piece in micro_batches(fresh):
                self._tables.append(piece.table)
                self._starts.append(self._end)
                self._end += len(piece)
            self._grown.notify_all()
            return Receipt(self._end, len(fresh), len(batch) - len(fresh))

    def read(self, offset: int, limit: int = 65_536) -> tuple[EventBatch, int]:
        """See ``EventLog.read``.

        Raises:
            LogError: there is no such offset, or the log is closed.
        """
        self._open()
        check_bounds(offset, limit, self._end)
        at = max(0, bisect_right(self._starts, offset) - 1)
        # Lists only grow, starts after tables: a piece that is seen in _starts is whole.
        pieces = ((self._starts[i], self._tables[i]) for i in range(at, len(self._starts)))
        found = window(pieces, offset, limit)
        return found, offset + len(found)

    def wait(self, offset: int, timeout_s: float) -> bool:
        """Sleeps until there are events after ``offset``; False when none came in time."""
        until = monotonic() + timeout_s
        with self._grown:
            while self._end <= offset and not self._closed:
                left = until - monotonic()
                if left <= 0 or not self._grown.wait(left):
                    break
        return self._end > offset

    def close(self) -> None:
        """Refuses reads and appends from now on."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()

    def _note(self, event_id: str) -> bool:
        is_new = event_id not in self._event_ids
        self._event_ids.add(event_id)
        return is_new

    def _open(self) -> None:
        if self._closed:
            raise LogError("the log is closed", "an open log", "open it again")
