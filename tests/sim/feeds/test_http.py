"""The audience as clients of a real server, and of servers that are busy, refuse or are not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from audiences import asks, items, small_world
from feedmill.core.errors import WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log, read_all
from feedmill.publish import current
from feedmill.serve.server import running
from feedmill.sim.feeds.chain_learning import Nights
from feedmill.sim.feeds.http import HttpConfig, HttpFeed
from feedmill.sim.live import live
from sim.feeds.test_chain import COUNTED
from sim.feeds.test_events import people

Answer = tuple[int, dict[str, str], object]
EMPTY = {"request_id": "r", "user_id": "u0", "items": []}


@pytest.fixture
def at(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "feed", COUNTED.replace("[serve]", "[serve]\nport = 0\nfollow_s = 0.05"))


def logged(at: Workspace) -> EventBatch:
    log = open_log(at)
    try:
        return read_all(log)
    finally:
        log.close()


@contextmanager
def service(answer: Callable[[str], Answer]) -> Iterator[str]:
    """A server that answers each path as it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answer(self.path)
            said = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def met(feed: HttpFeed, n: int = 1) -> HttpFeed:
    """One who knows n people, without a word to the service."""
    feed.known.take(people(*(f"u{i}" for i in range(n))))
    return feed


def test_days_pass_as_fast_as_their_events_and_the_log_tells_of_them(at: Workspace) -> None:
    with running(at) as url, HttpFeed(url, HttpConfig(slate=5, at_once=4), Nights(at)) as feed:
        diary = live(small_world(n_users=12), feed, 2, slate=5)
        version = httpx.get(f"{url}/readyz").json()["version"]
    events = logged(at)
    kind, time_ms = events.numpy("kind"), events.numpy("time_ms")
    assert diary.views is not None
    assert (kind == Kind.WATCH).sum() == (diary.views.seconds >= 3).sum()
    assert (kind == Kind.IMPRESSION).sum() >= len(diary.views)
    assert time_ms.max() - time_ms.min() > 1.2 * 86_400_000, "simulated days, in seconds"
    assert version == current(at.artifacts) != ""
    assert feed.n_waits == 0


def test_what_is_sent_again_is_taken_once(at: Workspace) -> None:
    with running(at) as url, HttpFeed(url) as feed:
        world = small_world(n_users=5)
        world.begin_day()
        described = world.describe()
        asked = asks([0, 1, 2])
        for _ in range(2):
            feed.describe(described)
        slates = feed.slates(asked)
        views = world.respond(asked, slates).views
        for _ in range(2):
            feed.take(asked, slates, views)
    events = logged(at)
    assert np.isin(events.numpy("kind"), [Kind.ITEM, Kind.USER]).sum() == len(described)
    ids = [i for i in events.table.column("event_id").to_pylist() if i]
    assert len(ids) == len(set(ids)) > len(described)


def test_a_busy_service_is_asked_again_when_it_says_so() -> None:
    said = iter([(503, {"retry-after": "2"}, {}), (503, {}, {}), (429, {"retry-after": "60"}, {}), (200, {}, EMPTY)])
    waits: list[float] = []
    with service(lambda _: next(said)) as url, met(HttpFeed(url, sleep=waits.append)) as feed:
        slates = feed.slates(asks([0]))
    assert waits == [2.0, 0.1, 10.0]
    assert feed.n_waits == 3
    assert slates.request_id == ["r"]
    assert (slates.item == -1).all()


def test_no_more_requests_are_under_way_than_at_once() -> None:
    inside, most, lock, enough = 0, 0, threading.Lock(), threading.Barrier(3)

    def answer(_: str) -> Answer:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        enough.wait(20)
        with lock:
            inside -= 1
        return 200, {}, EMPTY

    with service(answer) as url, met(HttpFeed(url, HttpConfig(at_once=3)), 9) as feed:
        assert len(feed.slates(asks(range(9)))) == 9
    assert most == 3


def test_what_a_service_refuses_is_not_sent_again() -> None:
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return 422, {}, {"title": "no such kind"}

    with service(answer) as url, HttpFeed(url) as feed, pytest.raises(WorkspaceError, match="422.*no such kind"):
        feed.describe(items(["v0"]))
    assert asked == ["/v1/events"]


def test_a_service_that_is_not_there_is_said() -> None:
    waits: list[float] = []
    feed = met(HttpFeed("http://127.0.0.1:9", HttpConfig(tries=3), sleep=waits.append))
    with feed, pytest.raises(WorkspaceError, match="ConnectError"):
        feed.slates(asks([0]))
    assert waits == [0.05, 0.1, 0.2]
