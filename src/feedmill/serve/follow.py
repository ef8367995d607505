"""What a serving engine does on the side: take in what others write, new artifacts, and snapshots."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("feedmill.serve")


class Follower:
    """Calls a few jobs again and again from one thread, each at its own pace; one that fails is tried again.

    Args:
        jobs: name -> (seconds between calls, what to call).
        note: told of every call's error, or None when it went well.
    """

    def __init__(
        self, jobs: dict[str, tuple[float, Callable[[], object]]], note: Callable[[str, Exception | None], None]
    ) -> None:
        self._jobs, self._note = jobs, note
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feedmill-follow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to do: start the first job now."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the job at hand, then stop."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        now = time.monotonic()
        due = {name: now + every for name, (every, _) in self._jobs.items()}
        first = next(iter(due))
        while not self._stopping:
            woken = self._wake.wait(max(0.0, min(due.values()) - time.monotonic()))
            self._wake.clear()
            for name, (every, job) in self._jobs.items():
                is_due = due[name] <= time.monotonic() or (woken and name == first)
                if is_due and not self._stopping:
                    self._do(name, job)
                    due[name] = time.monotonic() + every

    def _do(self, name: str, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # the thread must outlive whatever a job raises
            self._note(name, error)
        else:
            self._note(name, None)
