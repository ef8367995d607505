"""What the guard says, where learners read it, and how it raises the alarm."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from feedmill.core.clock import Clock
from feedmill.core.errors import ArtifactError
from feedmill.core.status import OK, report
from feedmill.core.workspace import Workspace
from feedmill.samples.guard.windows import Stretch
from feedmill.samples.joiner.parts import replaced

FILE = "guard.json"
ALARM = logging.getLogger("feedmill.guard")


class Verdict(msgspec.Struct, frozen=True):
    """What must not be learned from.

    Attributes:
        offset: of the log, up to which it has judged.
        judged_ms: event time up to which it has judged; what is after may yet turn out bad. None: nothing judged.
        is_open: learning is cut off, and the last of the stretches the guard found goes on.
        stretches: in the order in which they were found.
        resumes: how often it was told by hand to learn on.
        usual: what every rate is on healthy days.
    """

    offset: int
    judged_ms: int | None
    is_open: bool
    stretches: list[Stretch]
    resumes: int = 0
    usual: dict[str, float] = {}

    def words(self) -> list[str]:
        """Of each stretch a line."""
        return [
            f"{moment(s.from_ms)} to {moment(s.to_ms) if s.to_ms else 'now'}, by {s.who or 'unknown'}: "
            f"{'; '.join(r for r in s.reasons if r) or 'no reason given'}"
            for s in self.stretches
        ]


def moment(time_ms: int) -> str:
    """ISO 8601, UTC."""
    try:
        return datetime.fromtimestamp(time_ms / 1e3, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"


def verdict_of(workspace: Workspace) -> Verdict | None:
    """The newest verdict on a workspace's stream; None where nobody looks at it, since no joiner has ever run.

    Raises:
        ArtifactError: the file is damaged, or gone from beside what a joiner made: what is in quarantine is not known.
    """
    path = workspace.path / "samples" / FILE
    try:
        return _read(path)
    except FileNotFoundError:
        if not _was_joined(path.parent):
            return None
        given = f"{path} is gone, beside what a joiner made"
    except (OSError, msgspec.DecodeError) as e:
        given = f"{path}: {e}"
    fix = "run feedmill join, or start it again: it writes the file anew, from its checkpoint and the log"
    raise ArtifactError(given, "what the guard wrote: without it, broken stretches would be learned from", fix)


def told(workspace: Path) -> Verdict | None:
    """What was told last in a workspace's folder; None where that cannot be read, so that it is told again."""
    try:
        return _read(workspace / "samples" / FILE)
    except (OSError, msgspec.DecodeError):
        return None


def tell(workspace: Path, verdict: Verdict, before: Verdict | None, clock: Clock | None = None) -> None:
    """Write a verdict for learners and for whoever shows it, and raise the alarm when it has changed.

    Args:
        workspace: its folder.
        before: what was told last.

    Raises:
        OSError: the disk does not want it.
    """
    _store(workspace / "samples" / FILE, msgspec.json.encode(verdict))
    if before is None or verdict.stretches != before.stretches:
        _alarm(verdict, before.stretches if before is not None else [])
    figures = {"judged_ms": verdict.judged_ms or 0, "stretches": len(verdict.stretches), **verdict.usual}
    words, state = verdict.words()[-20:], "open" if verdict.is_open else OK
    at = Workspace(workspace, {})
    report(at, "guard", offset=verdict.offset, state=state, figures=figures, words=words, clock=clock)


def _read(path: Path) -> Verdict:
    return msgspec.json.decode(path.read_bytes(), type=Verdict)


def _was_joined(folder: Path) -> bool:
    """Whether a joiner has left anything; its lock is also held by who changes samples, and says nothing."""
    return folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir())


def _alarm(verdict: Verdict, before: Sequence[Stretch]) -> None:
    was = {s.from_ms: s.to_ms for s in before}
    for stretch, words in zip(verdict.stretches, verdict.words(), strict=True):
        if stretch.from_ms not in was or was[stretch.from_ms] != stretch.to_ms:
            what = "learns again, and leaves out" if stretch.to_ms else "stops learning:"
            ALARM.warning("%s %s", what, words)


def _store(path: Path, raw: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with replaced(path) as temporary:
        temporary.write_bytes(raw)
