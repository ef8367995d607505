"""Follow a workspace's log from the last checkpoint: samples to Parquet, which whoever learns reads.

Killed anywhere, it goes on from the last checkpoint and writes the same files with the same bytes again: what a file
holds, and its name, depend on offsets of the log alone.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from feedmill.core.errors import ArtifactError, WorkspaceError
from feedmill.core.hold import hold
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.status import report
from feedmill.core.workspace import Workspace
from feedmill.log.whole import CHUNK, open_log
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.verdict import FILE, tell, told
from feedmill.samples.guard.watch import Watch
from feedmill.samples.joiner import checkpoint, parts
from feedmill.samples.joiner.config import JoinConfig
from feedmill.samples.joiner.counts import Counts
from feedmill.samples.joiner.joiner import Joiner, State
from feedmill.samples.joiner.samples import schema
from feedmill.state.found import is_replaced
from feedmill.state.stored import fingerprint

STATUS = "joined.json"
LOGGER = logging.getLogger("feedmill.join")


class Ran(NamedTuple):
    """What a run did.

    Attributes:
        start: the offset it resumed from.
        offset: how far the log is joined.
        clock_ms: the log's clock there, None before there is one.
        settled_ms: what was shown before this is in samples, with all labels; None before there is a clock.
        counts: since the log began.
        notes: what had to be recovered, in words.
    """

    start: int
    offset: int
    clock_ms: int | None
    settled_ms: int | None
    counts: Counts
    notes: tuple[str, ...]


def folder_of(workspace: Workspace) -> Path:
    """Where samples, side outputs and checkpoints stand."""
    return workspace.path / "samples"


def run(
    workspace: Workspace,
    *,
    again: bool = False,
    until_end: bool = True,
    flush_s: float = 60.0,
) -> Ran:
    """Join the log up to its end, or for ever.

    Args:
        again: forget everything that was joined, and start from the log's beginning.
        until_end: stop at the end of the log; else wait for more.
        flush_s: without ``until_end``, how often the last stretch is written while it grows.

    Raises:
        ConfigError: see ``JoinConfig``.
        LogError: the log cannot be read.
        WorkspaceError: another process joins here, or the disk takes nothing.
        ArtifactError: the samples there were joined with other parameters, or from another log.
    """
    config, folder = workspace.section("samples.join", JoinConfig), folder_of(workspace)
    guard = workspace.section("samples.guard", GuardConfig)
    joiner = Joiner(config, guard.window_s)
    with alone(folder), disk(folder):
        if again:
            _forget(folder)
        parts.clean(folder)
        log = open_log(workspace)
        try:
            joiner, notes, watched = resume(folder, joiner, log)
            watch = Watch(guard, joiner.groups, watched)
            if not until_end:  # whoever follows is not handed ``Ran`` before the end, which may never come
                for note in notes:
                    LOGGER.warning("%s", note)
            return _Follower(folder, log, joiner, watch, notes).follow(until_end, flush_s)
        finally:
            log.close()


def resume(folder: Path, fresh: Joiner, log: EventLog) -> tuple[Joiner, tuple[str, ...], str]:
    """The joiner of the newest checkpoint that can be read, or a fresh one; what was wrong with the others; and the
    state of the guard's watch there.

    Raises:
        ArtifactError: a sound checkpoint was made with other parameters, or from another log.
    """
    notes = []
    for path in checkpoint.stored(folder / "checkpoints"):
        try:
            state = checkpoint.read(path)
        except ArtifactError as e:
            notes.append(f"{e.given}: the log is joined again from before it")
            continue
        _check_is_of(state, log, path)
        return Joiner.restore(fresh.config, state, fresh.tick_s), tuple(notes), str(state.about.get("guard", ""))
    if log.start:
        notes.append(f"the log begins at event {log.start:,}: what was shown before that is not joined")
        fresh.offset = log.start
    return fresh, tuple(notes), ""


def stored(workspace: Workspace) -> int:
    """The offset of the log up to which what closed is in the stored samples; 0 where nobody joins."""
    try:
        return int(msgspec.json.decode((folder_of(workspace) / STATUS).read_bytes())["offset"])
    except FileNotFoundError:
        return 0


def needed(workspace: Workspace) -> int | None:
    """The offset from which a restart reads the log, be it from the older checkpoint; None before there is one.

    What came before is in the stored samples and in the checkpoint.
    """
    found = checkpoint.stored(folder_of(workspace) / "checkpoints")
    return int(found[-1].stem) if found else None


def _check_is_of(state: State, log: EventLog, path: Path) -> None:
    offset = int(state.about["offset"])
    is_of = log.start <= offset <= log.end and state.about["epoch"] <= log.epoch
    if is_of and offset > log.start:
        event = log.read(offset - 1, 1)[0]
        is_rewritten = state.about["epoch"] < log.epoch and is_replaced(event)
        is_of = is_rewritten or fingerprint(event) == state.about["last_event"]
    if not is_of:
        raise ArtifactError(
            f"{path} was made from another log",
            "the log whose samples stand here",
            "bring that log back, or join this one anew: feedmill join --again",
        )


class _Follower:
    """Reads, joins, hands over and stores, one stretch of ``part_events`` after the other."""

    def __init__(
        self,
        folder: Path,
        log: EventLog,
        joiner: Joiner,
        watch: Watch,
        notes: tuple[str, ...],
    ) -> None:
        self._folder, self._log, self._joiner, self._watch = folder, log, joiner, watch
        self._told = told(folder.parent)
        self._notes = notes
        self._start = self._from = self._written = joiner.offset
        self._found: list[Any] = []

    def follow(self, until_end: bool, flush_s: float) -> Ran:
        self._to_end()
        self._tell()  # also when nothing was new: what the guard wrote may be gone
        self._flush()
        flushed = monotonic()
        wait: Callable[[int, float], bool] | None = getattr(self._log, "wait", None)
        while not until_end and wait is not None:
            if wait(self._joiner.offset, flush_s):
                self._to_end()
            if monotonic() - flushed >= flush_s:
                self._flush()
                flushed = monotonic()
        return self._ran()

    def _to_end(self) -> None:
        end, size = self._log.end, self._joiner.config.part_events
        with progress("joining", end - self._joiner.offset) as advance:
            while self._joiner.offset < end:
                at, full = self._joiner.offset, (self._from // size + 1) * size
                events, after = self._log.read(at, min(CHUNK, min(full, end) - at))
                joined = self._joiner.feed(events, at)
                self._found.append(joined)
                self._watch.feed(events, at, joined.ticks)
                self._tell()  # before these samples are stored, so that who learns from them knows
                if after == full:
                    self._store_stretch()
                advance(after - at)

    def _tell(self) -> None:
        """What the guard thinks by now, when it has looked at another window or was told something."""
        verdict = self._watch.verdict()
        if verdict != self._told:
            tell(self._folder.parent, verdict, self._told)
            self._told = verdict

    def _store_stretch(self) -> None:
        """The stretch is full: its samples, then the state from which the next one begins."""
        self._flush()
        state = self._joiner.state()
        about = {**state.about, **self._about_log(), "guard": self._watch.state()}
        checkpoint.write(self._folder / "checkpoints", msgspec.structs.replace(state, about=about))
        self._from, self._found = self._joiner.offset, []

    def _about_log(self) -> dict[str, Any]:
        """By which the log will be known again."""
        event = self._log.read(self._joiner.offset - 1, 1)[0]
        return {"last_event": fingerprint(event), "epoch": self._log.epoch}

    def _flush(self) -> None:
        """Write the stretch as far as it has come."""
        stop = self._joiner.offset
        if stop == self._written and (self._folder / STATUS).exists():
            return
        if stop > self._from:
            empty = schema(self._joiner.groups).empty_table()
            samples = pa.concat_tables([empty, *(joined.samples for joined in self._found)])
            side = pa.concat_tables([joined.side for joined in self._found])
            parts.write(self._folder, self._from, stop, samples, side, self._joiner.config.timezone)
        self._written = stop
        ran = self._ran()
        about = {"offset": ran.offset, "clock_ms": ran.clock_ms, "settled_ms": ran.settled_ms, "counts": ran.counts}
        with parts.replaced(self._folder / STATUS) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1) + b"\n")
        figures = {"complete": ran.counts.complete, "waiting": ran.counts.waiting, "lag_events": self._log.end - stop}
        report(Workspace(self._folder.parent, {}), "join", offset=stop, figures=figures, words=self._notes)

    def _ran(self) -> Ran:
        joiner = self._joiner
        return Ran(self._start, joiner.offset, joiner.clock_ms, joiner.settled_ms, joiner.counts, self._notes)


def _forget(folder: Path) -> None:
    for path in (*folder.glob("day=*"), folder / parts.SIDE_FOLDER, folder / "checkpoints"):
        shutil.rmtree(path, ignore_errors=True)
    for name in (STATUS, FILE):
        (folder / name).unlink(missing_ok=True)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Be the one process that joins here; the lock goes with the process, however it ends.

    Raises:
        WorkspaceError: another one does; the message has its pid. Or the folder cannot be written to.
    """
    return hold(folder / ".lock", f"{folder} is being joined", "one joiner on a workspace")


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """What the disk refuses, in words.

    Raises:
        WorkspaceError: in place of an OSError.
    """
    try:
        yield
    except OSError as e:
        raise WorkspaceError(
            f"samples cannot be stored in {folder}: {e.strerror or e}",
            "a disk with room that can be written to",
            "free some space and run it again: it goes on from the last checkpoint, and nothing is lost",
        ) from e
