"""Where an id still stands in a workspace: every file is read, what is compressed or packed is unpacked."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feedmill.core.errors import FeedmillError
from feedmill.core.progress import progress
from feedmill.core.request import Trace, to_json
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.log.traces import read_traces
from feedmill.samples.joiner import checkpoint
from feedmill.state.found import is_named

LONG = 6  # characters from which an id is no chance, wherever it stands; a shorter one may be a number, or an item's id
AROUND = 8  # readable characters on either side that tell a short id from compressed bytes
ITEMS, ITEM = "items.arrow", "item_id"  # a snapshot's table of items, and the column of them
TEXTS = (".json", ".jsonl", ".toml")  # where an id has an end: one that goes on is another
_READ = 1 << 24  # bytes of a file at a time


class Remains(NamedTuple):
    """One file that still has an id: where in it, and how often."""

    path: Path
    where: str
    n: int


def remains(at: Workspace, user_id: str) -> list[Remains]:
    """Every place, files in order. Ids of fewer than ``LONG`` characters count where they stand as a word in text,
    and not as the id of an item.

    Raises:
        FeedmillError, OSError: a file cannot be read; nothing is proved then.
    """
    files = sorted(p for p in at.path.rglob("*") if p.is_file())
    found: list[Remains] = []
    with progress("looking for the id", len(files)) as advance:
        for path in files:
            found += [Remains(path, where, n) for where, n in _in(at, path, user_id) if n]
            advance(1)
    return found


def _in(at: Workspace, path: Path, user_id: str) -> Iterator[tuple[str, int]]:
    if path == at.keys:  # of those who ask the service; it has nobody whom events are of
        return
    if path == at.log:
        yield from _in_log(path, user_id)
    elif path == at.traces:
        yield "traces", sum(is_named(user_id, _told(t, user_id)) for t in read_traces(path))
    elif path.suffix == ".parquet":
        yield "rows", _in_table(pq.read_table(path, partitioning=None), user_id)
        return
    elif path.name == ITEMS and len(user_id) < LONG:
        return
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "rb") as source:
            yield "ids", _in_table(pa.ipc.open_file(source).read_all(), user_id)
    elif path.suffix == checkpoint.SUFFIX:
        yield "waiting rows", _in_table(pa.Table.from_batches([checkpoint.read(path).texts]), user_id)
    yield "bytes", _in_bytes(path, user_id)


def _in_log(path: Path, user_id: str) -> Iterator[tuple[str, int]]:
    log, n = SqliteLog(path), 0
    try:
        offset, end = log.start, log.end
        while offset < end:
            events, offset = log.read(offset)
            n += _in_table(pa.Table.from_batches([events.table]), user_id)
        n += _in_table(pa.Table.from_batches([log.kept().table]), user_id)
    finally:
        log.close()
    yield "events", n
    with closing(sqlite3.connect(path)) as connection:
        ids: Iterable[tuple[str]] = connection.execute(
            "SELECT event_id FROM event_ids WHERE instr(event_id, ?)", (user_id,)
        )
        yield "event ids", sum(is_named(user_id, event_id) for (event_id,) in ids)


def _in_table(table: pa.Table, user_id: str) -> int:
    """Rows that name the id in any column of text."""
    named = np.zeros(table.num_rows, np.bool_)
    for k, field in enumerate(table.schema):
        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if is_text and (field.name != ITEM or len(user_id) >= LONG):
            column = table.column(k)
            some = np.flatnonzero(pc.fill_null(pc.match_substring(column, user_id), False).to_numpy())
            texts = column.take(pa.array(some)).to_pylist()
            named[some[[is_named(user_id, text) for text in texts]] if len(some) else some] = True
    return int(named.sum())


def _told(trace: Trace, user_id: str) -> str:
    """What a trace says; without items and numbers where the id may be one of these."""
    return to_json(trace).decode() if len(user_id) >= LONG else f"{trace.user_id} {trace.request_id}"


def _in_bytes(path: Path, user_id: str) -> int:
    raw, around = re.escape(user_id.encode()), 0
    if len(user_id) < LONG or path.suffix in TEXTS:
        raw = rb"(?<![0-9A-Za-z])" + raw + rb"(?![0-9A-Za-z])"
    if len(user_id) < LONG and path.suffix not in TEXTS:
        around = AROUND
        raw = rb"(?<=[\t\n\r -~]{%d})%b(?=[\t\n\r -~]{%d})" % (around, raw, around)
    pattern = re.compile(raw)
    n, tail = 0, b""
    with path.open("rb") as file:
        while piece := file.read(_READ):
            data = tail + piece
            n += sum(1 for m in pattern.finditer(data) if m.end() + around > len(tail))
            tail = data[-len(user_id.encode()) - 2 * around - 1 :]
    return n


def check(at: Workspace) -> None:
    """Refuse what cannot be looked through.

    Raises:
        FeedmillError: the log is not the embedded one.
    """
    if not at.log.exists():
        raise FeedmillError(f"no {at.log}", "a workspace with the embedded log", "delete the person where the log is")
