"""One group on a workspace."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from feedmill.core.errors import WorkspaceError
from feedmill.core.workspace import Workspace


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Be the one group on a workspace; the lock goes with the process, however it ends.

    Raises:
        WorkspaceError: there is another; the message has its pid.
    """
    folder = workspace.status
    try:
        folder.mkdir(exist_ok=True)
        file = (folder / "run.lock").open("a+", encoding="utf-8")
    except OSError as e:
        raise WorkspaceError(f"{folder}: {e.strerror}", "a folder that can be written to") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            given, fix = f"{workspace.path} is run by process {who}", "stop that process, or leave it the work"
            raise WorkspaceError(given, "one `feedmill run` on a workspace", fix) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
