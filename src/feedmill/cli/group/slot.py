"""A part's place in the group: the process that fills it, or when the next one is started."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from feedmill.cli.group.child import Child
from feedmill.cli.group.config import RunConfig
from feedmill.cli.group.lines import ERROR, INFO, WARNING, Lines, level_of

REFUSED = 1  # the exit code of a command that says why in words
Hear = Callable[["Slot", str | int], None]


class Slot:
    """One part, process after process.

    A part without a schedule follows: it is started again whenever it ends. One with a schedule is a job: it is
    started again when its time comes, and before that only if it died. What is refused (no artifact, no torch) is
    said once in words, and tried again.

    Args:
        name: of the part.
        command: its arguments after ``feedmill``.
        hear: is handed (this, a line of output or an exit code), from a thread.
        later: now in ms -> when the job comes next; None = it follows.
        again: whether it is started again at all.

    Attributes:
        child: the process, None between two.
        due_ms: when the next one is started.
        restarts: how often one was started because the one before it had ended when it should not have.
        code: how the last one ended; None before that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        config: RunConfig,
        lines: Lines,
        hear: Hear,
        later: Callable[[int], int] | None = None,
        again: bool = True,
    ) -> None:
        self.name, self._command, self._config, self._lines, self._hear = name, command, config, lines, hear
        self._later, self._again = later, again
        self.child: Child | None = None
        self.due_ms, self.restarts = 0, 0
        self.code: int | None = None
        self._pause_s, self._level = config.backoff_s, INFO
        self._words: list[str] = []
        self._refusal, self._died = "", ""
        self._is_stopping = False

    def start(self, now_ms: int) -> None:
        """Start it if it is time; a clock that was set back does not put that off."""
        furthest = now_ms + round(self._config.backoff_most_s * 1e3)
        self.due_ms = min(self.due_ms, self._later(now_ms) if self._later else furthest)
        if self.child is None and now_ms >= self.due_ms:
            self.restarts += bool(self._died)
            self._words, self._level, self._is_stopping = [], INFO, False
            try:
                self.child = Child(
                    self._command, lambda line: self._hear(self, line), lambda code: self._hear(self, code)
                )
            except OSError as e:  # no memory, or no process to be had: later there may be
                self._died = f"could not be started: {e.strerror}"
                self._next(now_ms)
            else:
                self._lines.say(self.name, INFO, f"started: process {self.child.pid}")

    def said(self, line: str) -> None:
        """A line of its output; the words of an error wait until it is known whether they are new."""
        if line.startswith("error: ") or (self._words and line.startswith("  ")):
            self._words.append(line)
            return
        self._flush()
        if line:
            self._level, message = level_of(line, self._level)
            self._lines.say(self.name, self._level, message)

    def ended(self, code: int, now_ms: int) -> None:
        """It has ended: say so, and when it starts again."""
        assert self.child is not None
        age_s, self.child, self.code = self.child.age_s, None, code
        is_healthy = age_s >= self._config.healthy_s
        if is_healthy:
            self._pause_s, self._refusal = self._config.backoff_s, ""
        if self._is_stopping:
            self._lines.say(self.name, INFO, "stopped")
            return
        self._died = ""
        if code == REFUSED and self._words:
            self._refused()
        elif code == 0 and self._later:
            self._refusal, self._pause_s = "", self._config.backoff_s
            self._lines.say(self.name, INFO, f"done in {age_s:.1f} s")
        else:
            self._flush()
            self._died = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._next(now_ms)

    def stop(self) -> None:
        """Tell the process to end."""
        if self.child is not None:
            self._is_stopping = True
            self.child.terminate()

    @property
    def is_well(self) -> bool:
        """Whether it neither died nor was refused, or has run well since."""
        has_run = self.child is not None and self.child.age_s >= self._config.healthy_s
        return has_run or not (self._died or self._refusal)

    def words(self) -> str:
        """How it is doing, as a sentence."""
        if self.child is not None:
            return f"{self.name}: runs as process {self.child.pid}"
        next_ = datetime.fromtimestamp(self.due_ms / 1e3, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        why = self._died or self._refusal
        return f"{self.name}: {why + '; ' if why else ''}next at {next_}"

    def _refused(self) -> None:
        words = "; ".join(line.strip() for line in self._words).removeprefix("error: ")
        self._words = []
        if words != self._refusal:
            self._lines.say(self.name, WARNING, f"not now: {words}{'; it is tried again' if self._again else ''}")
        self._refusal = words

    def _next(self, now_ms: int) -> None:
        """A job that is done or refused has its schedule; all else comes back after a pause that doubles."""
        if self._later and not self._died:
            self.due_ms = self._later(now_ms)
            return
        self.due_ms = now_ms + round(self._pause_s * 1e3)
        if self._died:
            then = f"; started again in {self._pause_s:g} s" if self._again else ""
            self._lines.say(self.name, ERROR, self._died + then)
        self._pause_s = min(2 * self._pause_s, self._config.backoff_most_s)

    def _flush(self) -> None:
        if self._words:
            self._lines.say(self.name, ERROR, "\n".join(self._words).removeprefix("error: "))
            self._words = []
