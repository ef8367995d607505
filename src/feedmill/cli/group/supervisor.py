"""Starts the parts of the group, watches them, and ends them in order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from feedmill.cli.group.config import RunConfig, next_night
from feedmill.cli.group.lines import INFO, WARNING, Lines
from feedmill.cli.group.slot import Slot
from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import WorkspaceError
from feedmill.core.progress import progress
from feedmill.core.status import report
from feedmill.core.workspace import Workspace

ME = "run"
COMMANDS = {  # in the order in which they start; they end in the opposite one, so that who answers does so to the last
    "serve": ("serve",),
    "join": ("join", "--follow"),
    "incremental": ("update", "--incremental"),
    "nightly": ("update", "--full"),
}
ONE_ROUND = {**COMMANDS, "join": ("join", "--until-end")}
BEAT_S = 5.0  # how old the status may become


class Supervisor:
    """The group of one workspace. Not for threads: one call of ``follow`` or ``once``, in the main thread.

    Args:
        options: of every command: which workspace, which overrides.
        where: the zone of the nights.
    """

    def __init__(
        self,
        workspace: Workspace,
        config: RunConfig,
        options: Sequence[str],
        where: ZoneInfo,
        lines: Lines,
        clock: Clock | None = None,
    ) -> None:
        self._workspace, self._config, self._options, self._lines = workspace, config, options, lines
        self._clock, self._where = clock or WallClock(), where
        self._heard: SimpleQueue[tuple[Slot, str | int] | None] = SimpleQueue()
        self._slots: list[Slot] = []
        self._reported, self._n_signals = (-1e9, ""), 0

    def follow(self) -> None:
        """Run the parts until SIGTERM or Ctrl-C; a second one does not wait for them."""
        every_ms = round(self._config.incremental_s * 1e3)
        later: dict[str, Callable[[int], int]] = {
            "incremental": lambda now_ms: now_ms + every_ms,
            "nightly": lambda now_ms: next_night(now_ms, self._config.nightly, self._where),
        }
        self._slots = [self._slot(name, COMMANDS, later.get(name)) for name in COMMANDS if name in self._config.parts]
        for slot in self._slots:
            if slot.name == "nightly":
                slot.due_ms = later["nightly"](self._clock.now_ms())
        with self._signals():
            try:
                while not self._n_signals:
                    for slot in self._slots:
                        slot.start(self._clock.now_ms())
                    self._report()
                    self._hear(self._until_due())
            finally:
                self._stop()

    def once(self, nightly: bool) -> bool:
        """One round of every part but serve, one after the other; whether all went well.

        Args:
            nightly: the full update too.
        """
        parts = [n for n in ONE_ROUND if n in self._config.parts and n != "serve" and (n != "nightly" or nightly)]
        with self._signals():
            try:
                for name in parts:
                    if self._n_signals:
                        break
                    slot = self._slot(name, ONE_ROUND, lambda now_ms: now_ms)
                    self._slots.append(slot)
                    slot.start(self._clock.now_ms())
                    with progress(name) if sys.stderr.isatty() else nullcontext():
                        while slot.child is not None and not self._n_signals:
                            self._hear(BEAT_S)
            finally:
                self._stop()
        return len(self._slots) == len(parts) and all(slot.code == 0 for slot in self._slots)

    def _slot(self, name: str, commands: dict[str, tuple[str, ...]], later: Callable[[int], int] | None) -> Slot:
        command = [*commands[name], *self._options]
        again = commands is COMMANDS
        return Slot(name, command, self._config, self._lines, lambda *heard: self._heard.put(heard), later, again)

    def _until_due(self) -> float:
        now_ms = self._clock.now_ms()
        waits = [(slot.due_ms - now_ms) / 1e3 for slot in self._slots if slot.child is None]
        return max(0.0, min([BEAT_S, *waits]))

    def _hear(self, at_most_s: float) -> None:
        """The next thing that a part says or does, or nothing for so long."""
        try:
            heard = self._heard.get(timeout=at_most_s)
        except Empty:
            return
        if heard is not None:
            slot, what = heard
            if isinstance(what, str):
                slot.said(what)
            else:
                slot.ended(what, self._clock.now_ms())

    def _report(self, state: str = "") -> None:
        """The status, when it has changed or has grown old."""
        words = [state] if state else [slot.words() for slot in self._slots]
        is_new = (said := "\n".join(words)) != self._reported[1]
        if not is_new and monotonic() - self._reported[0] < BEAT_S:
            return
        figures: dict[str, float] = {}
        for slot in self._slots:
            figures[f"{slot.name}_pid"] = slot.child.pid if slot.child else 0
            figures[f"{slot.name}_restarts"] = slot.restarts
            figures[f"{slot.name}_next_ms"] = 0 if slot.child else slot.due_ms
        state = state or ("ok" if all(slot.is_well for slot in self._slots) else "degraded")
        self._reported = monotonic(), said
        try:
            report(self._workspace, ME, state=state, figures=figures, words=words, clock=self._clock)
        except WorkspaceError as e:  # a disk that is full is no reason to answer nobody
            self._lines.say(ME, WARNING, str(e))

    def _stop(self) -> None:
        """End what still runs, the last started first; who does not go in time is killed."""
        for slot in reversed(self._slots):
            if slot.child is None:
                continue
            slot.stop()
            until = monotonic() + self._config.grace_s
            while slot.child is not None and self._n_signals < 2 and (left := until - monotonic()) > 0:
                self._hear(left)
            if slot.child is not None:
                why = "a second signal" if self._n_signals > 1 else f"did not end within {self._config.grace_s:g} s"
                self._lines.say(slot.name, WARNING, f"{why}: killed")
                slot.child.kill()
            while slot.child is not None:
                self._hear(BEAT_S)
        self._lines.say(ME, INFO, "ended")
        self._report("ended")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C are counted, and wake who listens."""

        def note(*_: Any) -> None:
            self._n_signals += 1
            self._heard.put(None)  # a SimpleQueue may be written to from a signal handler

        before = {which: signal.signal(which, note) for which in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)
