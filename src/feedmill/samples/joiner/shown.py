"""The texts of waiting impressions: who was shown what, in which feed, by which version."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.events import EventBatch

SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("position", pa.int16(), nullable=False),
        pa.field("version", pa.string(), nullable=False),  # the artifact that ranked it, "" = unknown
        pa.field("snapshot", pa.int64(), nullable=False),  # the log's offset its features were made at, -1 = unknown
    ]
)
_LARGE = 32_768  # rows; smaller pieces are joined, so that one event at a time does not leave a piece each


class _Payload(msgspec.Struct):
    version: str | None = None
    offset: int | None = None


_PAYLOAD = msgspec.json.Decoder(_Payload)


class Shown:
    """Rows of ``SCHEMA`` by sequence number; they come at the end and are let go at the front."""

    def __init__(self, first: int = 0) -> None:
        self._pieces: deque[pa.RecordBatch] = deque()
        self._first = self._end = first

    def add(self, events: EventBatch, rows: NDArray[np.bool_]) -> None:
        """The impressions of a batch that a mask picks."""
        self.extend(_columns(events.table.filter(pa.array(rows))))

    def extend(self, piece: pa.RecordBatch) -> None:
        """Rows that are ready."""
        if not piece.num_rows:
            return
        self._end += piece.num_rows
        while self._pieces and self._pieces[-1].num_rows <= min(
            piece.num_rows, _LARGE
        ):  # each row is copied log n times
            piece = joined([self._pieces.pop(), piece])
        self._pieces.append(piece)

    def rows(self, start: int, stop: int) -> list[pa.RecordBatch]:
        """The rows of sequence numbers from ``start`` up to ``stop``, in pieces that copy nothing."""
        out, at = [], self._first
        for piece in self._pieces:
            low, high = max(start - at, 0), min(stop - at, piece.num_rows)
            if low < high:
                out.append(piece.slice(low, high - low))
            at += piece.num_rows
            if at >= stop:
                break
        return out

    def release(self, upto: int) -> None:
        """Let go of pieces that have no row from ``upto`` on."""
        while self._pieces and self._first + self._pieces[0].num_rows <= upto:
            self._first += self._pieces.popleft().num_rows

    def table(self, start: int) -> pa.RecordBatch:
        """All rows from ``start`` on as one batch."""
        return joined(self.rows(start, self._end))


def joined(pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch after the other, as one."""
    if not pieces:
        return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in SCHEMA], schema=SCHEMA)
    return pa.concat_batches(pieces)


def _columns(table: pa.RecordBatch) -> pa.RecordBatch:
    version, snapshot = _snapshots(table.column("payload"))
    columns = [table.column(name) for name in ("user_id", "item_id", "request_id", "position")]
    return pa.RecordBatch.from_arrays([*columns, version, snapshot], schema=SCHEMA)


def _snapshots(payload: pa.StringArray) -> tuple[pa.StringArray, pa.Int64Array]:
    """Version and offset from payloads; a feed's impressions share one, so each is read once."""
    encoded = payload.dictionary_encode()
    read = [_read(text) for text in encoded.dictionary.to_pylist()]
    version, snapshot = pa.array([v for v, _ in read], pa.string()), pa.array([o for _, o in read], pa.int64())
    return version.take(encoded.indices), snapshot.take(encoded.indices)


def _read(text: str) -> tuple[str, int]:
    try:
        found = _PAYLOAD.decode(text)
    except msgspec.DecodeError:  # no snapshot: an impression from elsewhere
        return "", -1
    return found.version or "", -1 if found.offset is None or not 0 <= found.offset < 2**63 else found.offset
