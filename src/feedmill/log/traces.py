"""The file of traces: the last accounts of how feeds came about, as serving stores them and training reads them."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from feedmill.core.request import Trace, to_json
from feedmill.log.sqlite_errors import in_words

BELOW_CUT = "prerank: below the cut"  # the fates of what pre-rank and rank dropped
BELOW_SLATE = "rank: below the slate"
RERANK = "rerank."  # the fate of what a rule left out begins so, its name follows

_TABLE = """
create table if not exists traces(
    seq integer primary key autoincrement, request_id text not null unique, body blob not null)
"""
_READ = 256  # traces a reader holds at a time


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if there is none; a crash may lose the last traces, not the file.

    Raises:
        sqlite3.Error: the file is no database, or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=5)
    try:
        for statement in ("pragma journal_mode = wal", "pragma synchronous = normal", _TABLE):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def write(connection: sqlite3.Connection, traces: Sequence[Trace], keep: int) -> None:
    """Add traces in one transaction and forget all but the last ``keep``; a repeated request id replaces."""
    rows = [(t.request_id, zlib.compress(to_json(t), 1)) for t in traces]
    with connection:
        connection.executemany("insert or replace into traces(request_id, body) values (?, ?)", rows)
        connection.execute("delete from traces where seq <= (select max(seq) from traces) - ?", (keep,))


def find(path: Path, request_id: str) -> Trace | None:
    """The trace of one request, None where there is none or no file.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("select body from traces where request_id = ?", (request_id,)).fetchone()
    return None if row is None else _unpack(row[0])


def forget(path: Path, user_ids: Collection[str]) -> int:
    """Delete the traces of some people so that no byte of them is left; how many there were. Feeds may be served.

    Raises:
        LogError: the file cannot be read or written.
    """
    if not path.exists():
        return 0
    gone = [(t.request_id,) for t in read_traces(path) if t.user_id in user_ids]
    with in_words(str(path)), closing(sqlite3.connect(path, timeout=5)) as connection:
        connection.execute("pragma secure_delete = on")
        with connection:
            connection.executemany("delete from traces where request_id = ?", gone)
        if gone:
            connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    return len(gone)


def read_traces(path: Path) -> Iterator[Trace]:
    """Every trace in the file, oldest first; none where there is no file. A feed may be served meanwhile.

    Raises:
        LogError: the file cannot be read.
    """
    if not path.exists():
        return
    with in_words(str(path)), closing(sqlite3.connect(path, timeout=5)) as connection:
        after = 0
        if not connection.execute("select 1 from sqlite_master where name = 'traces'").fetchone():
            return
        while True:
            rows = connection.execute(
                "select seq, body from traces where seq > ? order by seq limit ?", (after, _READ)
            ).fetchall()
            yield from (_unpack(body) for _, body in rows)
            if not rows:
                return
            after = rows[-1][0]


def _unpack(body: bytes) -> Trace:
    return msgspec.json.decode(zlib.decompress(body), type=Trace)
