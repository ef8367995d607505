"""Publishes under way, so that nobody collects what one of them has just written and not yet promoted."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedmill.core.clock import Clock, WallClock
from feedmill.publish import disk

PREFIX = ".publishing-"


@contextmanager
def publishing(root: Path, clock: Clock | None = None) -> Iterator[None]:
    """Around writing and promoting a version: none that is as new as this block's begin is collected meanwhile.

    The mark goes with the process, however it ends.
    """
    with disk.locked(root):
        path = root / f"{PREFIX}{os.getpid()}"
        file = path.open("w", encoding="ascii")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str((clock or WallClock()).now_ms()))
        file.flush()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def oldest_ms(root: Path) -> int | None:
    """When the oldest publish that is still under way began; None when there is none. The caller holds the lock."""
    begun = []
    for path in root.glob(f"{PREFIX}*"):
        try:
            with path.open("r+", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:  # somebody lives who holds it
                    begun.append(int(file.read() or 0))
                else:
                    path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
    return min(begun, default=None)
