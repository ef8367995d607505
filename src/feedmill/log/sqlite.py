"""The embedded event log: one SQLite file, one row per columnar micro-batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Condition, Lock
from time import monotonic
from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Erasure, Receipt
from feedmill.log.cut import after_row, check_bounds, micro_batches, only_new, window
from feedmill.log.sqlite_errors import in_words
from feedmill.log.sqlite_file import connect
from feedmill.log.sqlite_rewriter import Rewriter, erasures, kept
from feedmill.log.stored_batch import decode, encode

_TURN_MS = 3  # SQLite backs off to 100 ms, which starves a process beside a busy one: ask again sooner
_POLL_S = 0.05  # how soon wait() sees another process's append
_END = "SELECT first_offset + n FROM batches ORDER BY first_offset DESC LIMIT 1"
_FROM = (
    "SELECT first_offset, raw_size, crc, data FROM batches WHERE first_offset >= "
    "(SELECT max(first_offset) FROM batches WHERE first_offset <= ?) ORDER BY first_offset"
)


class SqliteConfig(Config, frozen=True):
    """Parameters of ``[log] kind = "sqlite"``."""

    busy_s: Annotated[float, Meta(gt=0, description="seconds an append waits for its turn before it gives up")] = 30.0


class SqliteLog:
    """An ``EventLog`` in a SQLite file (WAL, an fsync for each append).

    Threads may share it and several processes may open one file: appends take turns, reads wait for no one.
    A batch and what makes it idempotent (its event ids, its source's highest row) are one transaction.

    Args:
        path: the file; made if it does not exist.
        busy_s: how long an append waits for its turn before it gives up.

    Raises:
        LogError: the file is not an event log, is of a newer feedmill, or cannot be opened.
    """

    Config = SqliteConfig

    @classmethod
    def of_workspace(cls, folder: Path, config: SqliteConfig) -> SqliteLog:
        """The file ``log.sqlite`` of a workspace."""
        return cls(folder / "log.sqlite", config.busy_s)

    def __init__(self, path: Path | str, busy_s: float = 30.0) -> None:
        self.path = str(path)
        self._busy_s = busy_s
        self._writer = connect(self.path, busy_s)
        self._writer.execute(f"PRAGMA busy_timeout = {_TURN_MS}")
        self._writing = Lock()
        self._idle: list[sqlite3.Connection] = []  # connections for reading; list.pop and append are atomic
        self._grown = Condition()
        self._closed = False

    @property
    def end(self) -> int:
        """The offset after the last event.

        Raises:
            LogError: the file cannot be read.
        """
        with self._reader() as reader:
            return _end(reader)

    @property
    def start(self) -> int:
        """The offset of the first event that is still there.

        Raises:
            LogError: the file cannot be read.
        """
        with self._reader() as reader:
            return _mark(reader, "start")

    @property
    def epoch(self) -> int:
        """See ``EventLog.epoch``.

        Raises:
            LogError: the file cannot be read.
        """
        with self._reader() as reader:
            return _mark(reader, "epoch")

    def erasures(self, since: int = 0) -> list[Erasure]:
        """See ``EventLog.erasures``."""
        with self._reader() as reader:
            return erasures(reader, since)

    def kept(self) -> EventBatch:
        """See ``EventLog.kept``."""
        with self._reader() as reader:
            return kept(reader, self.path)

    def append(self, batch: EventBatch) -> Receipt:
        """See ``EventLog.append``; one transaction and one fsync, however large the batch."""
        if not len(batch):
            return Receipt(self.end, 0, 0)
        with self._writing:
            self._check_open()
            with in_words(self.path), _transaction(self._writer, self._busy_s) as writer:
                fresh = self._fresh(writer, batch)
                end = self._insert(writer, fresh)
        with self._grown:
            self._grown.notify_all()
        return Receipt(end, len(fresh), len(batch) - len(fresh))

    def read(self, offset: int, limit: int = 65_536) -> tuple[EventBatch, int]:
        """See ``EventLog.read``.

        Raises:
            LogError: there is no such offset, or the file cannot be read.
        """
        with self._reader() as reader, _view(reader):
            check_bounds(offset, limit, _end(reader), _mark(reader, "start"))
            with closing(reader.execute(_FROM, (offset,))) as rows:
                found = window(((row[0], decode(self.path, *row)) for row in rows), offset, limit)
        return found, offset + len(found)

    def wait(self, offset: int, timeout_s: float) -> bool:
        """Sleeps until there are events after ``offset``, from any process; False when none came in time."""
        until = monotonic() + timeout_s
        with self._grown:
            while self.end <= offset:
                left = until - monotonic()
                if left <= 0:
                    return False
                self._grown.wait(min(left, _POLL_S))  # this process wakes it, others are seen by looking
        return True

    @contextmanager
    def rewriting(self) -> Iterator[Rewriter]:
        """The right to change what is stored, all at the end of the block or nothing; appends wait, reads do not.

        Raises:
            LogError: the log is closed, its turn did not come, or the disk does not take it.
        """
        with self._writing:
            self._check_open()
            with in_words(self.path), _transaction(self._writer, self._busy_s) as writer:
                yield Rewriter(writer, self.path)

    def compact(self) -> int:
        """Store runs of small micro-batches as large ones, which are read much faster; how many fewer there are.

        A transaction for each large one: whatever happens in between, the log is whole, and appends go on.
        """
        n_before = self._count()
        offset: int | None = self.start
        while offset is not None:
            with self.rewriting() as rewriter:
                offset = rewriter.merge(offset)
        return n_before - self._count()

    def shrink(self) -> None:
        """Give unused space back to the disk, and leave nothing in the file of what was replaced or dropped.

        Raises:
            LogError: the disk has no room for a second copy meanwhile, or somebody holds the log.
        """
        self._check_open()
        with in_words(self.path), closing(connect(self.path, self._busy_s)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Waits for an append in progress; reads and appends are refused from now on."""
        with self._writing:
            self._closed = True
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    def _fresh(self, writer: sqlite3.Connection, batch: EventBatch) -> EventBatch:
        """What the log does not have of ``batch``, noting that it soon will."""
        fresh = batch
        if batch.source:
            row = writer.execute("SELECT next_row FROM sources WHERE source = ?", (batch.source,)).fetchone()
            fresh = after_row(batch, row[0] if row else 0)
            stop = batch.source_row + len(batch)
            writer.execute(
                "INSERT INTO sources VALUES (?, ?) "
                "ON CONFLICT (source) DO UPDATE SET next_row = max(next_row, excluded.next_row)",
                (batch.source, stop),
            )
        note = "INSERT OR IGNORE INTO event_ids VALUES (?)"
        return only_new(fresh, lambda event_id: writer.execute(note, (event_id,)).rowcount > 0)

    def _insert(self, writer: sqlite3.Connection, fresh: EventBatch) -> int:
        end = _end(writer)
        for piece in micro_batches(fresh):
            row = (end, len(piece), *encode(piece.table))
            writer.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)", row)
            end += len(piece)
        return end

    def _count(self) -> int:
        with self._reader() as reader:
            return int(reader.execute("SELECT count(*) FROM batches").fetchone()[0])

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own for a moment, so that readers wait for nobody."""
        self._check_open()
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = connect(self.path, self._busy_s)
        try:
            with in_words(self.path):
                yield reader
        finally:
            self._idle.append(reader)
            if self._closed:
                reader.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogError(f"log {self.path} is closed", "an open log", "open it again")


@contextmanager
def _view(reader: sqlite3.Connection) -> Iterator[None]:
    """One moment of the file for several statements: another process may drop or merge what is being read."""
    reader.execute("BEGIN")
    try:
        yield
    finally:
        if reader.in_transaction:  # SQLite itself ends it on some errors
            reader.execute("COMMIT")


@contextmanager
def _transaction(writer: sqlite3.Connection, busy_s: float) -> Iterator[sqlite3.Connection]:
    """All or nothing; takes the right to write at once, so that what is read inside stays true."""
    _begin(writer, monotonic() + busy_s)
    try:
        yield writer
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:  # SQLite itself rolls back on some errors
            writer.execute("ROLLBACK")
        raise


def _begin(writer: sqlite3.Connection, until: float) -> None:
    while True:
        try:
            writer.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as e:
            if not e.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() > until:
                raise


def _end(connection: sqlite3.Connection) -> int:
    row = connection.execute(_END).fetchone()
    return int(row[0]) if row else 0


def _mark(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()[0])
