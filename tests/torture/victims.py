"""Processes that are killed: each does one part's work, by the code that its command runs.

A fork of a process that has everything imported, so that what is interrupted is the work and not the imports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "fcntl.flock"}
IMPORTED = [
    "feedmill.cli.learn",
    "feedmill.cli.update",
    "feedmill.samples.joiner.run",
    "feedmill.serve.server",
    "feedmill.train.fit",
    "feedmill.train.update.incremental",
    "feedmill.train.update.nightly",
    "torture.world",
]
N_APPENDED, PER_STEP = 150, 15  # feeds, about a stretch of the joiner; so many at a time, so that windows close
Say = Callable[..., None]


def serve(folder: Path, say: Say, port: int) -> None:
    from feedmill.core.workspace import Workspace
    from feedmill.serve.server import serve as run

    run(Workspace.open(folder), port=port, ready=lambda url: say("ready"))


def append(folder: Path, say: Say, first: int, step: int) -> None:
    """Feeds straight into the log, shown from a step on, each acknowledged when ``append`` has returned."""
    from feedmill.core.workspace import Workspace
    from feedmill.log.whole import open_log
    from torture.world import batch, feed

    log = open_log(Workspace.open(folder))
    for k in range(first, first + N_APPENDED):
        log.append(batch(feed("direct", k, step + (k - first) // PER_STEP)))
        say("appended", k)
    log.close()


def train(folder: Path, say: Say) -> None:
    from feedmill.cli.learn import train as run

    run(folder)


def join(folder: Path, say: Say) -> None:
    from feedmill.core.workspace import Workspace
    from feedmill.samples.joiner.run import run

    run(Workspace.open(folder))


def incremental(folder: Path, say: Say) -> None:
    from feedmill.cli.update import run_incremental
    from feedmill.core.workspace import Workspace

    run_incremental(Workspace.open(folder))


def nightly(folder: Path, say: Say) -> None:
    from feedmill.cli.update import run_full
    from feedmill.core.errors import DataError
    from feedmill.core.workspace import Workspace

    try:
        run_full(Workspace.open(folder))
    except DataError as e:
        if "requests since offset" not in e.given:
            raise


def publish(folder: Path, say: Say, number: int) -> None:
    """The current version once more under another name, promoted; every third time rolled back; old ones collected."""
    from feedmill.core.workspace import Workspace
    from feedmill.publish import collect, load, promote, publishing, rollback, write

    root = Workspace.open(folder).artifacts
    now = load(root)
    with publishing(root):
        promote(root, write(root, now.parts, {**now.about, "torture": number}), who="torture")
    if number % 3 == 0:
        rollback(root, who="torture")
    collect(root, 6)


PARTS: dict[str, Callable[..., None]] = {
    f.__name__: f for f in (serve, append, train, join, incremental, nightly, publish)
}


def _main(part: str, args: tuple[Any, ...], folder: Path, at_step: int, lines: int, pipe: Connection) -> None:
    """Do a part's work; with ``at_step``, be killed right before that change of the workspace's files, or so many lines
    of the package's code after it. Changes of one kind to files of one folder, one after the other, are one step: the
    two hundred arrays of a snapshot stand in a folder that nobody knows yet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    steps, place, before = 0, str(folder), ("", "")

    def count(event: str, details: tuple[Any, ...]) -> None:
        nonlocal steps, before
        is_open = event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)
        if event == "fcntl.flock" or ((is_open or event in WRITES) and str(details[0]).startswith(place)):
            kind = event, os.path.dirname(str(details[0]))
            steps += kind != before
            if steps == at_step and kind != before:
                _die_after(lines)
            before = kind

    pipe.send(("go",))
    sys.addaudithook(count)
    try:
        PARTS[part](folder, lambda *said: pipe.send(said), *args)
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))
    else:
        pipe.send(("done", steps))


def _die_after(lines: int) -> None:
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if "/feedmill/" not in frame.f_code.co_filename:
            return None
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    if not lines:
        os.kill(os.getpid(), signal.SIGKILL)
    frame: FrameType | None = sys._getframe()
    while frame is not None:  # functions under way are followed too, not only those that are called from here on
        frame.f_trace, frame = trace, frame.f_back
    sys.settrace(trace)


class Victim:
    """A process that does one part's work; ``hear`` what it says until it has ended."""

    def __init__(self, part: str, folder: Path, *args: Any, at_step: int = 0, lines: int = 0) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_main, args=(part, args, folder, at_step, lines, theirs), daemon=True)
        before, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", ""), os.pathsep.join(sys.path)
        self._process.start()  # which, before Python 3.13, starts a fork server that is not told of sys.path
        os.environ["PYTHONPATH"] = before
        theirs.close()
        self._end: tuple[str, int | None] | None = None

    def hear(self, within_s: float | None = None) -> tuple[Any, ...] | None:
        """What it says next; ("ended", exit code) at its end, None for nothing within so many seconds."""
        try:
            if self._end is None:
                return tuple(self._pipe.recv()) if self._pipe.poll(within_s) else None
        except (EOFError, ConnectionResetError):
            self._process.join()
            self._pipe.close()
            self._end = "ended", self._process.exitcode
        return self._end

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()
