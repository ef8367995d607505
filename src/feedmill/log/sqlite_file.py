"""The file of a SqliteLog: its tables, its marks, and how a connection to it is set up."""

from __future__ import annotations

import sqlite3
import time

from feedmill.core.errors import LogError
from feedmill.log.sqlite_errors import in_words

APPLICATION_ID = 0x666D6C67  # "fmlg", in the file's header: this file is an event log
VERSION = 2

# A row of batches is one micro-batch: data is an Arrow IPC record batch message of core.events.SCHEMA, as
# zstd of raw_size bytes unless raw_size is 0; crc is of data as stored. The next two tables keep appends idempotent.
_TABLES_1 = (
    "CREATE TABLE batches (first_offset INTEGER PRIMARY KEY, n INTEGER NOT NULL, raw_size INTEGER NOT NULL, "
    "crc INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE TABLE event_ids (event_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sources (source TEXT PRIMARY KEY NOT NULL, next_row INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
# Since version 2: where the log starts and its epoch; what was erased when; what outlived the events around it.
_TABLES_2 = (
    "CREATE TABLE marks (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO marks VALUES ('start', 0), ('epoch', 0)",
    "CREATE TABLE erasures (epoch INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, renames TEXT NOT NULL, "
    "digests TEXT NOT NULL)",
    "CREATE TABLE kept (first_offset INTEGER PRIMARY KEY, raw_size INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "data BLOB NOT NULL)",
)
_STEPS = {0: _TABLES_1, 1: _TABLES_2}  # what brings a file of that version to the next


def connect(path: str, busy_s: float) -> sqlite3.Connection:
    """A connection to the log at ``path``, which is made if there is no file or an empty one.

    Raises:
        LogError: the file is not an event log, is of a newer feedmill, or cannot be opened.
    """
    with in_words(path):
        # Shared between threads one at a time; SqliteLog sees to that. Transactions are begun by hand.
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        with in_words(path):
            connection.execute("BEGIN")  # one view of the file, which another process may just be making
            version = _version(connection, path)
            connection.execute("COMMIT")
            if version < VERSION:
                _upgrade(connection, path, busy_s)
            connection.execute("PRAGMA secure_delete = ON")  # what is replaced or dropped is overwritten with zeros
            connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before it returns
            connection.execute("PRAGMA cache_size = -32000")  # KiB: event_ids are inserted in random order
            connection.execute("PRAGMA journal_size_limit = 67108864")  # bytes: give a bulk load's WAL back
        return connection
    except BaseException:
        connection.close()
        raise


def _version(connection: sqlite3.Connection, path: str) -> int:
    """The version of a log's file, 0 for an empty one. Needs a transaction around it."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark == APPLICATION_ID and version <= VERSION:
        return int(version)
    if mark == APPLICATION_ID:
        raise LogError(
            f"log {path} has format {version}",
            f"format {VERSION} or older",
            "use the feedmill that wrote it, or newer",
        )
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if mark or n_tables:
        raise LogError(f"{path} is a SQLite file, but not an event log", "an event log", "give another path")
    return 0


def _upgrade(connection: sqlite3.Connection, path: str, busy_s: float) -> None:
    """Make a new file, or bring one of an older version to this one: all steps or none."""
    _to_wal(connection, busy_s)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(connection, path), VERSION):  # another process may have been quicker
            for statement in _STEPS[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _to_wal(connection: sqlite3.Connection, busy_s: float) -> None:
    """The mode is part of the file. SQLite does not wait for a lock here as elsewhere, so this does."""
    until = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as e:
            if not e.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(0.005)
