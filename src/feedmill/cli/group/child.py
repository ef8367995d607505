"""One process of the group: started on a leash, in a process group of its own, its output handed over line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

LEASHED = "feedmill.cli.group.leashed"


class Child:
    """A feedmill command that has been started.

    Ctrl-C of a terminal does not reach it, for it has a process group of its own: who ends first is the supervisor's
    to say.

    Args:
        command: the arguments after ``feedmill``.
        on_line: told of each line of output, from a thread.
        on_exit: told of the exit code once, after the last line; negative = the signal that ended it.

    Attributes:
        pid: its process and its process group.
    """

    def __init__(self, command: Sequence[str], on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> None:
        self._started = monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", LEASHED, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=0,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "1000"},  # so that no line is folded
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, args=(on_exit,), daemon=True).start()

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return monotonic() - self._started

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and whatever it has started."""
        self._signal(signal.SIGKILL)

    def _signal(self, which: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, which)

    def _read(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            on_line(line.rstrip())

    def _wait(self, on_exit: Callable[[int], None]) -> None:
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still its own
            self.kill()  # what it may have left behind holds its output open
        code = self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        on_exit(code)
