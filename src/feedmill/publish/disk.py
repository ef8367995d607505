"""Files that are whole or not there at all, also after a crash or a power cut. POSIX."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedmill.core.errors import ArtifactError


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, are on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_text(path: Path, text: str) -> None:
    """Give a file new contents in one step: a reader sees the old text or the new, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of a folder; waits for the one before. The lock goes with the process.

    Raises:
        ArtifactError: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as e:
        fix = "free space or mend the folder's permissions; what is served has not changed"
        raise ArtifactError(f"cannot write to {folder}: {e.strerror or e}", "a folder with room", fix) from e
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
