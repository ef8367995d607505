"""The running service as an audience meets it: many people's phones at once, over HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import httpx
import msgspec
from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.errors import WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedResponse
from feedmill.sim.feeds.events import Known, feedback, padded
from feedmill.sim.views import Asks, Slates, Views

MOST_EVENTS = 5_000  # of one request
BUSY = (429, 502, 503, 504)
_EVENT_NAMES = {int(kind): kind.name.lower() for kind in Kind}


class HttpConfig(Config, frozen=True, kw_only=True):
    """How hard the service is driven, and how patient the client is."""

    slate: Annotated[int, Meta(ge=1, le=500, description="items asked for")] = 10
    at_once: Annotated[int, Meta(ge=1, le=1024, description="requests under way at most")] = 16
    timeout_s: Annotated[float, Meta(gt=0, description="without an answer a request is sent again")] = 30.0
    tries: Annotated[int, Meta(ge=1, description="times a request is sent before the client gives up")] = 8
    wait_s: Annotated[
        float, Meta(ge=0, description="before the second try where the service says nothing; doubled each time")
    ] = 0.05
    longest_wait_s: Annotated[float, Meta(ge=0, description="between two tries, whatever the service says")] = 10.0
    deadline_ms: Annotated[
        float, Meta(ge=0, description="budget of a feed; by default none is cut short, so that it is the same each run")
    ] = 3_600_000.0


class HttpFeed:
    """Asks a service for feeds and tells it what people did, as any client would.

    The service's own clock decides when a request was: give its workspace ``serve.clock = "newest"``, so that days pass
    as fast as their events. Whatever is sent again is the same: events bear ids made of what they say, and the service
    takes each once. Slates of one call are asked for at the same time, ``at_once`` of them, and what they show is
    logged in the order in which the service happens to answer: no two runs are the same byte for byte.

    Args:
        url: of the service.
        config: see HttpConfig.
        learn: called at night with the day; a service that follows its workspace takes up what it promotes.
        sleep: waits so many seconds between tries.

    Attributes:
        n_waits: how often the service was too busy, or away, and was asked again.
    """

    def __init__(
        self,
        url: str,
        config: HttpConfig | None = None,
        learn: Callable[[int], str] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.known, self.n_waits = config or HttpConfig(), Known(), 0
        self._learn, self._sleep = learn, sleep
        most = httpx.Limits(max_connections=self.config.at_once, max_keepalive_connections=self.config.at_once)
        self._client = httpx.Client(base_url=url, timeout=self.config.timeout_s, limits=most, trust_env=False)
        self._sessions = ThreadPoolExecutor(self.config.at_once, "audience")

    def describe(self, events: EventBatch) -> None:
        """Send them."""
        self.known.take(events)
        self._send(events)

    def slates(self, asks: Asks) -> Slates:
        """One request each.

        Raises:
            WorkspaceError: the service does not answer.
        """
        answers = list(self._sessions.map(self._ask, (self.known.users[row] for row in asks.user.tolist())))
        rows = [[r for r in self.known.rows([i.item_id for i in a.items]) if r >= 0] for a in answers]
        return Slates(padded(rows, self.config.slate), [a.request_id for a in answers])

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Send what came of them; it is on the service's disk when this returns."""
        self._send(feedback(asks, slates, views, self.known))

    def night(self, day: int) -> None:
        """Learn, and wait until the service has taken up what was promoted."""
        version = self._learn(day) if self._learn is not None else ""
        for _ in range(600 if version else 0):
            if self._call("GET", "/readyz").json().get("version") == version:
                return
            self._sleep(0.1)

    def close(self) -> None:
        """End all sessions."""
        self._sessions.shutdown()
        self._client.close()

    def __enter__(self) -> HttpFeed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, user_id: str) -> FeedResponse:
        body = {"user_id": user_id, "n": self.config.slate, "deadline_ms": self.config.deadline_ms}
        return msgspec.json.decode(self._call("POST", "/v1/feed", body).content, type=FeedResponse)

    def _send(self, events: EventBatch) -> None:
        bodies = _bodies(events)
        for first in range(0, len(bodies), MOST_EVENTS):
            self._call("POST", "/v1/events", bodies[first : first + MOST_EVENTS])

    def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """The answer, however often it takes to ask.

        Raises:
            WorkspaceError: none came, or the service refuses what is sent.
        """
        said = "nothing"
        for wait_s in self._waits():
            try:
                answer = self._client.request(method, path, content=None if body is None else msgspec.json.encode(body))
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return answer
                said = f"{answer.status_code}: {answer.text[:500]}"
                if answer.status_code not in BUSY:
                    break
                wait_s = max(wait_s, _asked_for(answer))
            self.n_waits += 1
            self._sleep(min(wait_s, self.config.longest_wait_s))
        expected = "a feedmill that takes what is sent and answers"
        raise WorkspaceError(f"{method} {self._client.base_url}{path}: {said}", expected, "see the service's own log")

    def _waits(self) -> Iterator[float]:
        return (self.config.wait_s * 2**i for i in range(self.config.tries))


def _asked_for(answer: httpx.Response) -> float:
    """Seconds after which the service wants to be asked again, 0 if it does not say."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdecimal() else 0.0


def _bodies(events: EventBatch) -> list[dict[str, Any]]:
    """What POST /v1/events takes; an event's id is a digest of what it says."""
    out: list[dict[str, Any]] = events.table.to_pylist()
    for row in out:
        row["kind"] = _EVENT_NAMES[row["kind"]]
        said = msgspec.json.encode(row, order="sorted")
        row["event_id"] = row["event_id"] or hashlib.blake2b(said, digest_size=12, person=b"sim event").hexdigest()
    return out
