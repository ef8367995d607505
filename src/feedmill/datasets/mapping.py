"""A user's own log in CSV, JSON lines or Parquet, read as a mapping says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from feedmill.core.clock import Clock, WallClock
from feedmill.core.events import SCHEMA, EventBatch, Kind
from feedmill.datasets.check import EARLIEST_MS, check_batch
from feedmill.datasets.columns import events_of, require
from feedmill.datasets.describe import Described, item_columns, items_of, user_columns, users_of
from feedmill.datasets.rows import CHUNK_ROWS, Chunk, read_rows, row_json, suffix_of
from feedmill.datasets.source import Reject, digest
from feedmill.datasets.tables import (
    ItemsTable,
    LogMapping,
    UsersTable,
    check_mapping,
    infer,
    read_mapping,
    used,
)

# Part of every source: raise it when the same file would give other events, or give them in another order.
_FORMAT = "2"
_ALWAYS = ("user", "item", "time")
_NONE = pl.DataFrame(schema={"time_ms": pl.Int64, "line": pl.Int64, "nth": pl.Int8})


class _Read(NamedTuple):
    events: pl.DataFrame  # as the file has them
    order: pl.Series  # their rows in order of time: sorting the events themselves would hold them twice
    source: str
    rejects: list[Reject]


class MappedDataset:
    """A ``Dataset`` of any file of events, with tables of items and users beside it if there are any.

    Events come in order of time; those of one time in the order of the file, and of one row the extra events
    after its own. Rows that cannot be events are ``rejects``. Items that no table describes may occur.

    Args:
        path: .csv, .tsv, .jsonl, .ndjson (each also .gz) or .parquet.
        mapping: which columns are what, or the file that says so; None for columns named as feedmill's are.
        clock: a row more than a day later than this is refused; None is the machine's.

    Raises:
        ConfigError: the mapping cannot be used.
        DataError: from every method: a file cannot be read, or lacks a column.
    """

    licence = ""

    def __init__(self, path: Path | str, mapping: LogMapping | Path | None = None, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._mapping = read_mapping(mapping) if isinstance(mapping, Path) else mapping
        self._now_ms = (clock or WallClock()).now_ms()
        if self._mapping:
            check_mapping(self._mapping)

    def events(self) -> Iterator[EventBatch]:
        """Batches of at most 65,536 events in order of time."""
        read = self._events
        for start in range(0, len(read.events), CHUNK_ROWS):
            part = read.events[read.order[start : start + CHUNK_ROWS]]
            columns = {name: part[name].to_arrow(compat_level=pl.CompatLevel.oldest()) for name in SCHEMA.names}
            yield EventBatch.of(columns, source=read.source, source_row=start)

    def items(self) -> EventBatch:
        """An ITEM event for each good row of the table of items, at the time of the first event."""
        return self._items[0]

    def users(self) -> EventBatch:
        """A USER event for each good row of the table of users, at the time of the first event."""
        return self._users[0]

    def source(self) -> str:
        """The hash of the file of events and of its mapping."""
        return self._events.source

    def rejects(self) -> Iterator[Reject]:
        """Every row of the three files that cannot be an event."""
        yield from self._users[1]
        yield from self._items[1]
        yield from self._events.rejects

    @cached_property
    def _events(self) -> _Read:
        given = self._mapping.events if self._mapping else None
        table, frames, rejects = given or infer(()), list[pl.DataFrame](), _Rejects(self.name)
        wanted = used(given) if given else {key: used(table)[key] for key in _ALWAYS}
        for chunk in _chunks(self.path, table.separator, wanted, "events", rejects):
            if not frames and given is None:
                table = infer(chunk.columns.columns)
            found = events_of(chunk, table, self._now_ms)
            rejects.add(chunk, found.checked.reasons)
            frames.append(found.frame)
        events = pl.concat(frames or [_NONE])
        order = events.select(pl.arg_sort_by("time_ms", "line", "nth")).to_series()
        return _Read(events, order, digest([self.path], _FORMAT, _json(table)), rejects.found)

    @cached_property
    def _items(self) -> tuple[EventBatch, list[Reject]]:
        table = self._mapping.items if self._mapping else ItemsTable()
        return self._described(Kind.ITEM, table, item_columns(table), lambda chunk: items_of(chunk, table))

    @cached_property
    def _users(self) -> tuple[EventBatch, list[Reject]]:
        table = self._mapping.users if self._mapping else UsersTable()
        return self._described(Kind.USER, table, user_columns(table), lambda chunk: users_of(chunk, table))

    def _described(
        self,
        kind: Kind,
        table: ItemsTable | UsersTable,
        wanted: dict[str, str],
        describe: Callable[[Chunk], Described],
    ) -> tuple[EventBatch, list[Reject]]:
        if not table.file:
            return EventBatch.empty(), []
        path, section = self.path.parent / table.file, f"{kind.name.lower()}s"
        rejects, batches = _Rejects(path.name), []
        first_ms = self._events.events["time_ms"].min() or EARLIEST_MS
        for chunk in _chunks(path, table.separator, wanted, section, rejects):
            ids, payloads, refused = describe(chunk)
            of = "item_id" if kind == Kind.ITEM else "user_id"
            batch = EventBatch.of({"time_ms": first_ms, "kind": int(kind), of: ids, "payload": payloads})
            reasons = check_batch(batch, self._now_ms).reasons | refused
            rejects.add(chunk, reasons)
            batches.append(batch.take(np.delete(np.arange(len(batch)), list(reasons))))
        source = digest([path], _FORMAT, section, _json(table))
        return EventBatch(EventBatch.concat(batches).table, source), rejects.found


class _Rejects:
    """The rejects of one file."""

    def __init__(self, file: str) -> None:
        self.file, self.found = file, list[Reject]()

    def malformed(self, line: int, reason: str, text: str) -> None:
        self.found.append(Reject(self.file, line, reason, text))

    def add(self, chunk: Chunk, reasons: dict[int, str]) -> None:
        for row, reason in sorted(reasons.items()):
            self.found.append(Reject(self.file, int(chunk.lines[row]), reason, row_json(chunk.columns, row), True))


def _chunks(path: Path, separator: str, wanted: dict[str, str], section: str, rejects: _Rejects) -> Iterator[Chunk]:
    """The rows of a file, refusing it as soon as it is known to lack a column that the mapping names."""
    seen: dict[str, None] = {}
    is_sparse = suffix_of(path) in (".jsonl", ".ndjson")  # an object has only the keys it needs
    for chunk in read_rows(path, rejects.malformed, separator):
        if not seen:
            now = {key: column for key, column in wanted.items() if key in _ALWAYS or not is_sparse}
            require(now, chunk.columns.columns, path.name, section)
        seen |= dict.fromkeys(chunk.columns.columns)
        yield chunk
    if seen:
        require(wanted, seen, path.name, section)


def _json(table: msgspec.Struct) -> str:
    return msgspec.json.encode(table).decode()
