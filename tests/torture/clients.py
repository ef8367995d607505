"""Who talks to the service all along: one that writes and remembers what was acknowledged, one that asks for feeds."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from feedmill.core.errors import ArtifactError
from feedmill.publish import load
from torture.world import feed

SLOW_S, FAST_S = 0.2, 0.005  # between two requests: the log shall grow, but not so that learning from it takes long


class Client(ABC):
    """A thread that does something again and again while the service lives, and waits while it does not.

    Attributes:
        pause_s: between two times.
        problem: what must not be.
    """

    def __init__(self, url: str, alive: threading.Event, pause_s: float) -> None:
        self.problem, self.pause_s = "", pause_s
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._alive, self._ends = alive, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Finish what is under way."""
        self._ends.set()
        self._thread.join()
        self._http.close()

    @abstractmethod
    def once(self) -> None:
        """What it does again and again."""

    def is_through(self) -> bool:
        """Whether it may end now."""
        return True

    def _run(self) -> None:
        while not self.problem and not (self._ends.is_set() and self.is_through()):
            if self._alive.wait(0.1):
                try:
                    self.once()
                except httpx.TransportError:  # the service has been killed, perhaps after it took what was sent
                    self._ends.wait(0.01)
                except Exception as e:
                    self.problem = f"{type(e).__name__}: {e}"
            self._ends.wait(self.pause_s)


class Writer(Client):
    """Posts feeds as events, each batch until it is acknowledged.

    Attributes:
        acknowledged: event ids.
        number: of the next feed.
    """

    def __init__(self, url: str, alive: threading.Event, first: int) -> None:
        self.acknowledged: list[str] = []
        self.number, self._is_open = first, False
        super().__init__(url, alive, SLOW_S)

    def once(self) -> None:
        events = feed("http", self.number)
        self._is_open = True
        answer = self._http.post("/v1/events", json=events)
        if answer.status_code == 503:
            return
        if answer.status_code != 200:
            raise AssertionError(f"events were answered with {answer.status_code}: {answer.text[:300]}")
        body: dict[str, Any] = answer.json()
        if body["accepted"] + body["duplicates"] != len(events):
            raise AssertionError(f"{len(events)} events were sent, and {body} acknowledged")
        self.acknowledged += [event["event_id"] for event in events]
        self.number, self._is_open = self.number + 1, False

    def is_through(self) -> bool:
        return not self._is_open


class Prober(Client):
    """Asks for feeds, and verifies each version that it meets, file by file, when it meets it.

    Attributes:
        versions: met so far, in order.
        n_feeds: answered.
    """

    def __init__(self, url: str, alive: threading.Event, root: Path, user: Callable[[int], str]) -> None:
        self.versions: list[str] = []
        self.n_feeds, self._root, self._user = 0, root, user
        super().__init__(url, alive, 4 * FAST_S)

    def once(self) -> None:
        answer = self._http.post("/v1/feed", json={"user_id": self._user(self.n_feeds), "n": 5, "deadline_ms": 60_000})
        if answer.status_code != 200:
            raise AssertionError(f"a feed was answered with {answer.status_code}: {answer.text[:300]}")
        body = answer.json()
        if not body["items"]:
            raise AssertionError(f"an empty feed: {body}")
        self.n_feeds += 1
        if body["version"] not in self.versions:
            try:
                load(self._root, body["version"])
            except ArtifactError as e:
                raise AssertionError(f"version {body['version']} serves and is not whole: {e.given}") from e
            self.versions.append(body["version"])
