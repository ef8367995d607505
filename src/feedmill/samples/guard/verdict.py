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
    """The newest verdict on a workspace's stream; None where nobody has looked at it.

    Raises:
        ArtifactError: the file is damaged: what it quarantined is not known.
    """
    path = workspace.path / "samples" / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Verdict)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as e:
        fix = "run feedmill join, or start it again: it writes it anew; without the file, all would be learned from"
        raise ArtifactError(f"{path}: {e}", "what the guard wrote", fix) from None


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
