"""Events: the one input of the whole system, held as columns.

Everything feedmill knows comes from a log of events: what people saw and did, and what items and
users are. An event that describes (``ITEM``, ``USER``) carries its attributes as JSON in ``payload``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Kind(IntEnum):
    """What an event says. Kinds below ``N_COUNTED`` are behaviour: the fold counts them."""

    IMPRESSION = 0
    CLICK = 1
    LIKE = 2
    FAVOURITE = 3
    SHARE = 4
    COMMENT = 5
    FOLLOW = 6
    WATCH = 7  # value = seconds watched
    FINISH = 8
    DISLIKE = 9
    SEARCH = 10  # payload = the query's text, item_id empty
    ITEM = 20  # payload = JSON attributes of item_id; {"deleted": true} takes it down
    USER = 21  # payload = JSON attributes of user_id
    EXPERIMENT = 30  # payload = JSON, what was done to an experiment: experiments.lifecycle writes and reads it
    GUARD = 31  # payload = JSON, what was said to the guard by hand: samples.guard.by_hand writes and reads it


N_COUNTED = 10
FORGOTTEN = "forgotten:"  # so begins what stands in a forgotten person's place: it has a row, and is nobody

SCHEMA = pa.schema(
    [
        pa.field("time_ms", pa.int64(), nullable=False),  # milliseconds since 1970 UTC
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),  # "" where there is none
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("value", pa.float32(), nullable=False),  # WATCH: seconds; ratings: the rating; else 1
        pa.field("request_id", pa.string(), nullable=False),  # "" = organic, not shown by a feed
        pa.field("position", pa.int16(), nullable=False),  # slot in the feed, -1 = none
        pa.field("event_id", pa.string(), nullable=False),  # "" = no idempotency key
        pa.field("payload", pa.string(), nullable=False),
    ]
)
DEFAULTS: dict[str, Any] = {"value": 1.0, "position": -1}
TEXT_COLUMNS = ("user_id", "item_id", "request_id", "event_id", "payload")


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """n events as one Arrow record batch of ``SCHEMA``, in log order.

    ``source`` and ``source_row`` make bulk loads idempotent the way a Kafka producer id and sequence do:
    rows of a source at or below the highest row already appended are not appended again. Single events
    use ``event_id`` instead. Ids are text: the number 7 and the text "7" are the same id.
    """

    table: pa.RecordBatch
    source: str = ""
    source_row: int = 0  # the row of ``source`` that the first event is

    def __post_init__(self) -> None:
        if self.table.schema != SCHEMA:
            raise TypeError(f"EventBatch needs the columns {SCHEMA.names}, got {self.table.schema.names}")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, rows: slice) -> EventBatch:
        start, stop, _ = rows.indices(len(self))
        part = self.table.slice(start, max(0, stop - start))
        return EventBatch(part, self.source, self.source_row + start)

    def numpy(self, column: str) -> NDArray[Any]:
        """A numeric column as an array without a copy; text columns as an object array."""
        return np.asarray(self.table.column(column).to_numpy(zero_copy_only=column not in TEXT_COLUMNS))

    def take(self, rows: NDArray[Any]) -> EventBatch:
        """The given rows, in the given order."""
        return EventBatch(self.table.take(pa.array(rows)))

    @staticmethod
    def empty() -> EventBatch:
        return EventBatch.of({})

    @staticmethod
    def of(columns: Mapping[str, Any], *, source: str = "", source_row: int = 0) -> EventBatch:
        """Columns by name; a missing column takes its default, a scalar is repeated.

        Raises:
            TypeError: a column is not of ``SCHEMA``, or lengths differ.
        """
        unknown = set(columns) - set(SCHEMA.names)
        if unknown:
            raise TypeError(f"no such event column: {sorted(unknown)}; columns are {SCHEMA.names}")
        lengths = {len(v) for v in columns.values() if _is_column(v)}
        if len(lengths) > 1:
            raise TypeError(f"event columns differ in length: {sorted(lengths)}")
        n = lengths.pop() if lengths else (1 if columns else 0)
        arrays = [_array(columns.get(f.name), f, n) for f in SCHEMA]
        return EventBatch(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA), source, source_row)

    @staticmethod
    def rows(events: Sequence[Mapping[str, Any]]) -> EventBatch:
        """The same from a list of dicts (convenient for a few events; use ``of`` for many)."""
        names = {name for e in events for name in e}
        return EventBatch.of(
            {k: [e.get(k, DEFAULTS.get(k, "" if k in TEXT_COLUMNS else 0)) for e in events] for k in names}
        )

    @staticmethod
    def concat(batches: Iterable[EventBatch]) -> EventBatch:
        """One batch after the other; sources are dropped."""
        tables = [b.table for b in batches]
        if not tables:
            return EventBatch.empty()
        return EventBatch(
            pa.Table.from_batches(tables).combine_chunks().to_batches(max_chunksize=None)[0]
            if sum(t.num_rows for t in tables)
            else tables[0]
        )


def _is_column(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__")


def _array(value: Any, field: pa.Field, n: int) -> pa.Array:
    text = field.name in TEXT_COLUMNS
    if value is None:
        value = DEFAULTS.get(field.name, "" if text else 0)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        value = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
        return value if value.type == field.type else value.cast(field.type)
    if _is_column(value):
        if text and not isinstance(value, np.ndarray):
            value = [v if isinstance(v, str) else str(v) for v in value]
        return pa.array(value, field.type)
    return pa.repeat(pa.scalar(str(value) if text else value, field.type), n)
