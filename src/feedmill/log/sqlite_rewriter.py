"""What changes a log that is otherwise only appended to: one transaction, during which appends wait.

Offsets never change: an event may be replaced in its place, dropped from the front, or stored in a larger micro-batch.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Erasure
from feedmill.log.cut import BATCH_ROWS
from feedmill.log.stored_batch import decode, encode

KEPT = (Kind.EXPERIMENT,)  # what outlives the events around it, because nothing derived replaces it
_STORED = "first_offset, raw_size, crc, data"


class Rewriter:
    """Handed out by ``SqliteLog.rewriting``; what it does becomes true at the end of that block, or not at all."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection, self._path = connection, path

    def replace(self, offsets: Sequence[int], change: Callable[[EventBatch, NDArray[np.int64]], EventBatch]) -> None:
        """Put other events in place of the micro-batches that hold these offsets.

        Args:
            offsets: ascending.
            change: (a whole micro-batch, int64[n] the offsets of its events) -> as many events.
        """
        firsts = [row[0] for row in self._connection.execute("SELECT first_offset FROM batches ORDER BY 1")]
        for first in dict.fromkeys(firsts[bisect_right(firsts, offset) - 1] for offset in offsets):
            table = self._at(first)
            new = change(EventBatch(table), np.arange(first, first + table.num_rows))
            if len(new) != table.num_rows:
                raise ValueError(f"{len(new)} events in place of {table.num_rows}: offsets must stay")
            self._store(first, new.table)

    def forget_event_ids(self, event_ids: Iterable[str]) -> None:
        """Such an event would be taken again: an id says who and what."""
        self._connection.executemany("DELETE FROM event_ids WHERE event_id = ?", [(i,) for i in event_ids])

    def erased(self, time_ms: int, renames: Sequence[tuple[str, int, str]], digests: Mapping[str, str]) -> int:
        """Begin the next epoch; ``Erasure`` says what of. The digests of earlier ones are given up."""
        (epoch,) = self._connection.execute("SELECT value FROM marks WHERE name = 'epoch'").fetchone()
        for e in erasures(self._connection):
            self._note(e._replace(digests={}))
        self._note(Erasure(epoch + 1, time_ms, tuple(renames), dict(digests)))
        self._mark("epoch", epoch + 1)
        return int(epoch) + 1

    def drop_before(self, start: int) -> int:
        """Drop the events before ``start``, all but what ``KEPT`` names; how many there were.

        Raises:
            LogError: nothing would be left, and with it the end of the log.
        """
        (before,) = self._connection.execute("SELECT value FROM marks WHERE name = 'start'").fetchone()
        last = self._connection.execute("SELECT max(first_offset + n) FROM batches").fetchone()[0] or 0
        if start >= last:
            raise LogError(
                f"a log of {last} events to start at {start}", "at least one event to stay", "keep more days"
            )
        if start <= before:
            return 0
        for first, n in self._connection.execute(
            "SELECT first_offset, n FROM batches WHERE first_offset < ? ORDER BY first_offset", (start,)
        ).fetchall():
            table = self._at(first)
            self._keep(first, table.slice(0, start - first))
            self._connection.execute("DELETE FROM batches WHERE first_offset = ?", (first,))
            if first + n > start:
                self._store(start, table.slice(start - first))
        self._mark("start", start)
        return start - int(before)

    def merge(self, after: int) -> int | None:
        """Store the small micro-batches that follow offset ``after`` as one; the offset after them, None at the end."""
        rows = self._connection.execute(
            "SELECT first_offset, n FROM batches WHERE first_offset >= ? ORDER BY first_offset LIMIT ?",
            (after, BATCH_ROWS),
        ).fetchall()
        if not rows:
            return None
        total = np.cumsum([n for _, n in rows])
        n_small = max(1, int(np.searchsorted(total, BATCH_ROWS, side="right")))
        if n_small > 1:
            tables = [self._at(first) for first, _ in rows[:n_small]]
            merged = EventBatch.concat([EventBatch(t) for t in tables])
            first, last = rows[0][0], rows[n_small - 1][0]
            self._connection.execute("DELETE FROM batches WHERE first_offset BETWEEN ? AND ?", (first, last))
            self._store(first, merged.table)
        return int(rows[0][0] + total[n_small - 1])

    def _at(self, first: int) -> pa.RecordBatch:
        row = self._connection.execute(f"SELECT {_STORED} FROM batches WHERE first_offset = ?", (first,)).fetchone()
        return decode(self._path, *row)

    def _store(self, first: int, table: pa.RecordBatch) -> None:
        row = (first, table.num_rows, *encode(table))
        self._connection.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)", row)

    def _keep(self, first: int, table: pa.RecordBatch) -> None:
        kept = np.isin(EventBatch(table).numpy("kind"), KEPT)
        for k in np.flatnonzero(kept).tolist():
            raw_size, crc, data = encode(pa.RecordBatch.from_pylist(table.slice(k, 1).to_pylist(), table.schema))
            row = (first + k, raw_size, crc, data)
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", row)

    def _note(self, erasure: Erasure) -> None:
        row = (erasure.epoch, erasure.time_ms, *(msgspec.json.encode(part).decode() for part in erasure[2:]))
        self._connection.execute("INSERT OR REPLACE INTO erasures VALUES (?, ?, ?, ?)", row)

    def _mark(self, name: str, value: int) -> None:
        self._connection.execute("UPDATE marks SET value = ? WHERE name = ?", (value, name))


def erasures(connection: sqlite3.Connection, since: int = 0) -> list[Erasure]:
    """Those of the epochs after ``since``, in order."""
    rows = connection.execute("SELECT * FROM erasures WHERE epoch > ? ORDER BY epoch", (since,)).fetchall()
    kind = tuple[tuple[str, int, str], ...]
    return [
        Erasure(
            epoch,
            time_ms,
            msgspec.json.decode(renames, type=kind),
            msgspec.json.decode(digests, type=dict[str, str]),
        )
        for epoch, time_ms, renames, digests in rows
    ]


def kept(connection: sqlite3.Connection, path: str) -> EventBatch:
    """What outlived the events around it, in order."""
    rows = connection.execute(f"SELECT {_STORED} FROM kept ORDER BY first_offset").fetchall()
    return EventBatch.concat([EventBatch(decode(path, *row)) for row in rows])
