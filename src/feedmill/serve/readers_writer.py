"""Many requests read the state at once; a fold has it alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class ReadersWriter:
    """A readers-writer lock. A waiting writer holds back new readers, so events are never starved by feeds.

    While a request reads, the state stands still: its features are exactly those at one offset of the log,
    and a replay to that offset gives them again. Not re-entrant.

    Attributes:
        writers_waiting: how many wait for their turn.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._readers = 0
        self._writing = False
        self.writers_waiting = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Share the state with other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self.writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the state alone."""
        with self._changed:
            self.writers_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._writing and not self._readers)
                self._writing = True
            finally:
                self.writers_waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
