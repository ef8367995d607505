"""Places for requests: so many are worked on or wait, and one more is told to come again.

Without an end a queue only ever makes answers later: under more load than there is strength every request waits for all
before it, until none is answered in time. A bounded one keeps what it takes quick, and says no at once to the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread

from feedmill.core.errors import FeedmillError


class Room:
    """Threads for one kind of requests, and places to wait for one. Used from one event loop.

    Args:
        places: for requests that are worked on or wait.
        full: what the one after them is told.
        threads: of its own, which no other kind can take from it; None = those of everybody.

    Attributes:
        n: places that are taken.
    """

    def __init__(self, places: int, full: Callable[[], FeedmillError], threads: int | None = None) -> None:
        self.n = 0
        self._places, self._full = places, full
        self._threads = None if threads is None else anyio.CapacityLimiter(threads)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the body is read and the answer made: so many bodies are in memory and no more.

        Raises:
            FeedmillError: ``full``'s, at once: no place is free.
        """
        if self.n >= self._places:
            raise self._full()
        self.n += 1
        try:
            yield
        finally:
            self.n -= 1

    async def run(self, call: Callable[..., bytes], *args: Any) -> bytes:
        """The call's answer, from a thread."""
        return await anyio.to_thread.run_sync(call, *args, limiter=self._threads)
