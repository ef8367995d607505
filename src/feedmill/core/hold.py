"""One process at a time, by a lock that goes with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedmill.core.errors import WorkspaceError


@contextmanager
def hold(lock: Path, what: str, expected: str) -> Iterator[None]:
    """Be the one process that does something; the file of the lock has its pid.

    Args:
        lock: a file, in a folder that is made if it is not there.
        what: is done to what, for the message: "shop is being served".
        expected: how many may do it, for the message.

    Raises:
        WorkspaceError: another process does it; or the folder cannot be written to.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
    except OSError as e:
        raise WorkspaceError(f"{lock}: {e.strerror}", "a folder that can be written to") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise WorkspaceError(f"{what} by process {who}", expected, "stop that process, or use it") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
