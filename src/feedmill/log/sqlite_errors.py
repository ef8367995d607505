"""What SQLite says, for the person who meets it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from feedmill.core.errors import LogError

_FREE = "the log free to write within the waiting time"

# SQLite's error name (its extended names begin with it) -> what was expected, what to do
_ADVICE: tuple[tuple[str, str, str], ...] = (
    ("SQLITE_FULL", "space on the disk", "free some space, then send the events again"),
    (
        "SQLITE_IOERR",
        "a disk that takes writes",
        "check for a full quota, a file size limit (ulimit -f) or a bad disk, then send the events again",
    ),
    (
        "SQLITE_READONLY",
        "a file and a folder this process may write to",
        "check who owns them and how the disk is mounted",
    ),
    (
        "SQLITE_CANTOPEN",
        "a file in a folder that exists and may be written to",
        "make the folder, or check the path",
    ),
    ("SQLITE_PERM", "a file this process may open", "check who owns it"),
    ("SQLITE_NOTADB", "an event log", "give another path: this file is not a SQLite file"),
    (
        "SQLITE_CORRUPT",
        "an undamaged event log",
        "bring the log back from a backup, or save what is left with `sqlite3 FILE .recover`",
    ),
    ("SQLITE_BUSY", _FREE, "look for a process that holds it, and try again"),
    ("SQLITE_LOCKED", _FREE, "look for a process that holds it, and try again"),
    ("SQLITE_TOOBIG", "events of less than 1 GB together", "append them in smaller batches"),
)


def log_error(error: sqlite3.Error, path: str) -> LogError:
    """``error`` of the file ``path`` in words."""
    name = getattr(error, "sqlite_errorname", "")
    for start, expected, fix in _ADVICE:
        if name.startswith(start):
            return LogError(f"log {path}: {error} ({name})", expected, fix)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return LogError(f"log {path} is closed", "an open log", "open it again")
    said = f"log {path}: {error} ({name or type(error).__name__})"
    return LogError(said, "an event log that can be used", "see the message; nothing was written")


@contextmanager
def in_words(path: str) -> Iterator[None]:
    """Errors of SQLite inside become LogErrors."""
    try:
        yield
    except sqlite3.Error as e:
        raise log_error(e, path) from e
