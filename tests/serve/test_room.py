"""Too many at once: told so at once, over the real server, while those before are still worked on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest

from feedmill.core.errors import FeedmillError
from feedmill.serve.engine import Engine
from feedmill.serve.problems import Overloaded
from feedmill.serve.room import Room
from serve.keyed import problem, served
from serve.world import Open

FEED, EVENT = {"user_id": "u1", "n": 3}, {"kind": "click", "user_id": "u1", "item_id": "i1"}


def test_as_many_as_there_are_places_and_each_is_free_again() -> None:
    gate, room = threading.Event(), Room(3, lambda: Overloaded("full"))
    told: list[object] = []

    def work(fails: bool) -> bytes:
        gate.wait(20)
        if fails:
            raise FeedmillError("broken")
        return b"done"

    async def one(fails: bool) -> None:
        try:
            with room.place():
                told.append(await room.run(work, fails))
        except FeedmillError as error:
            told.append(error.given)
        if told.count("full") == 2:
            gate.set()

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for fails in (False, True, False, False, False):
                tasks.start_soon(one, fails)
        assert room.n == 0
        assert await room.run(work, False) == b"done"

    anyio.run(all_of_them)
    assert told[:2] == ["full", "full"]
    assert sorted(map(str, told[2:])) == ["b'done'", "b'done'", "broken"]


class Held:
    """A method of an engine that waits for a gate, and requests that ask for it."""

    def __init__(self, engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.inside = threading.Event(), threading.Semaphore(0)
        real = getattr(engine, name)

        def waits(*args: Any, **more: Any) -> Any:
            self.inside.release()
            self.gate.wait(30)
            return real(*args, **more)

        monkeypatch.setattr(engine, name, waits)


@contextmanager
def filled(engine: Engine, http: httpx.Client, path: str, body: Any, n: int) -> Iterator[list[Future[httpx.Response]]]:
    """n requests that hold every place of their kind."""
    kind = "feeds" if path == "/v1/feed" else "events"
    with ThreadPoolExecutor(n) as pool:
        waiting = [pool.submit(http.post, path, json=body) for _ in range(n)]
        while engine.metrics.at_once[kind]() < n:
            threading.Event().wait(0.005)
        yield waiting


def test_feeds_beyond_the_last_place_are_sent_away_at_once(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opened(serve__feeds_at_once=4, serve__threads=2)
    held = Held(engine, "recommend", monkeypatch)
    with served(engine) as http:
        with filled(engine, http, "/v1/feed", FEED, 4) as waiting:
            for path, body in (("/v1/feed", FEED), ("/v1/search", {"query": "x"})):
                answer = http.post(path, json=body)
                assert "in time" in problem(answer, 503)["given"]
                assert answer.headers["retry-after"] == "1"
            assert http.get("/healthz").status_code == 200
            assert http.post("/v1/events", json=EVENT).status_code == 200, "events have threads of their own"
            held.gate.set()
            assert [w.result().status_code for w in waiting] == [200] * 4, "those taken are answered"
        assert http.post("/v1/feed", json=FEED).status_code == 200, "as before"
        said = http.get("/metrics").text
    assert 'feedmill_http_requests_total{route="/v1/feed",status="503"} 1.0' in said
    assert 'feedmill_http_at_once{kind="feeds"} 0.0' in said


def test_events_beyond_the_last_place_are_sent_away_and_none_of_them_taken(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(serve__events_at_once=3, serve__threads=4)
    held = Held(engine, "append", monkeypatch)
    with served(engine) as http:
        before = engine.live.log.end
        with filled(engine, http, "/v1/events", EVENT, 3) as waiting:
            answer = http.post("/v1/events", json=[EVENT | {"event_id": "late"}])
            assert "none was taken" in problem(answer, 429)["fix"]
            assert answer.headers["retry-after"] == "1"
            assert engine.live.log.end == before
            feed = http.post("/v1/feed", json=FEED)
            assert feed.status_code == 200, "feeds go on"
            held.gate.set()
            assert [w.result().json()["accepted"] for w in waiting] == [1] * 3
        again = http.post("/v1/events", json=[EVENT | {"event_id": "late"}])
        assert again.json()["accepted"] == 1, "the same, sent again, is taken once"


def test_who_sends_slowly_holds_a_place_for_a_while_and_no_longer(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedmill.serve.bodies.READ_S", 0.2)
    engine = opened(serve__feeds_at_once=1)
    with served(engine) as http:
        host, port = http.base_url.host, http.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=20) as slow:
            slow.sendall(b"POST /v1/feed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{")
            assert b" 408 " in slow.recv(4096)
        assert engine.metrics.at_once["feeds"]() == 0
        assert http.post("/v1/feed", json=FEED).status_code == 200
