"""The service over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import httpx
import pytest

from feedmill.serve.engine import Engine
from feedmill.serve.server import Server
from serve.world import Make, full_disk

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def engine(trained_copy: Any) -> Iterator[Engine]:
    with Engine.open(trained_copy) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(engine: Engine) -> Iterator[Server]:
    with Server(engine) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        start = perf_counter()
        while client.get("/readyz").status_code != 200:
            assert perf_counter() - start < 60
            threading.Event().wait(0.02)
        yield client


def feed(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = http.post("/v1/feed", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [i["item_id"] for i in answer["items"]]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """An error as every error is: problem+json that says what was given and what to do."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["type"]
    assert found["given"]
    assert "Traceback" not in answer.text
    return found


def click(http: httpx.Client, user_id: str, item_id: str, **more: Any) -> dict[str, Any]:
    answer = http.post("/v1/events", json={"kind": "click", "user_id": user_id, "item_id": item_id, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# Feeds


def test_a_feed_says_why_each_item_is_there(http: httpx.Client) -> None:
    answer = feed(http, user_id="u1", n=5)
    assert len(set(ids(answer))) == 5
    assert answer["user_id"] == "u1"
    assert answer["degraded"] == []
    first = answer["items"][0]
    assert first["title"].startswith("Item ")
    assert set(first["channels"]) <= {"popular", "itemcf"}
    assert "ranked 1st" in first["why"]


def test_a_user_id_may_be_a_number_and_nobody(http: httpx.Client) -> None:
    assert feed(http, user_id=7, n=3)["user_id"] == "7"
    assert len(ids(feed(http, user_id="nobody has met", context={"device": "tv"}))) == 10


def test_pages_of_a_cursor_repeat_nothing(http: httpx.Client) -> None:
    shown: list[str] = []
    page = feed(http, user_id="u2", n=8)
    while page["items"]:
        shown += ids(page)
        click(http, "u2", shown[-1])
        if not page["cursor"]:
            break
        page = feed(http, user_id="u2", n=8, cursor=page["cursor"])
    assert len(shown) == len(set(shown)) > 40


def test_a_deadline_of_nothing_is_answered_and_says_so(http: httpx.Client) -> None:
    answer = feed(http, user_id="u1", n=5, deadline_ms=0)
    assert len(answer["items"]) == 5
    assert {"retrieval.popular: deadline", "fallback", "rerank.mmr: deadline"} <= set(answer["degraded"])


@pytest.mark.parametrize(
    ("body", "given", "said"),
    [
        ({"user_id": "u", "n": 0}, "n = 0", "1 to 500"),
        ({"user_id": "u", "n": -3}, "n = -3", "1 to 500"),
        ({"user_id": "u", "n": 501}, "n = 501", "1 to 500"),
        ({"user_id": "u", "n": 10**30}, "n = 1", "1 to 500"),
        ({"user_id": "u", "n": "ten"}, 'n = "ten"', "int"),
        ({"user_id": "u", "n": 2.5}, "n = 2.5", "int"),
        ({"user_id": "u", "n": None}, "n = null", "int"),
        ({"user_id": "u", "n": True}, "n = true", "int"),
        ({"user_id": ""}, "user_id", "1 to 256"),
        ({"user_id": ["u"]}, 'user_id = ["u"]', "int | str"),
        ({"user_id": "u", "cursor": "stolen"}, 'cursor = "stolen"', "same user"),
        ({"user_id": "u", "cursor": 5}, "cursor = 5", "str"),
        ({"user_id": "u", "context": {"device": 3}}, "context", "str"),
        ({"user_id": "u", "deadline_ms": -1}, "deadline_ms = -1", "0 to 3600000"),
        ({"user_id": "u", "nn": 3}, 'unknown field "nn"', "n"),
        ({}, 'no field "user_id"', "text or whole number"),
        ([], "[]", "object"),
        ("u", '"u"', "object"),
        (None, "null", "object"),
    ],
)
def test_a_request_that_cannot_be_answered(http: httpx.Client, body: Any, given: str, said: str) -> None:
    found = problem(http.post("/v1/feed", content=json.dumps(body)), 422)
    assert given in found["given"]
    assert said in found["expected"] + found["fix"]


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/events", "/v1/search"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b'{"user_id": "\xff"}', b'{"user_id": "\\ud800"}', b"\x00", b"[" * 100_000]
)
def test_a_body_that_is_not_json(http: httpx.Client, path: str, body: bytes) -> None:
    assert "not JSON" in problem(http.post(path, content=body), 422)["given"]


# Events


def test_an_acknowledged_event_shows_in_the_next_feed_within_200_ms(http: httpx.Client) -> None:
    took = []
    for _ in range(5):
        item = ids(feed(http, user_id="u3", n=1))[0]
        start = perf_counter()
        assert click(http, "u3", item)["accepted"] == 1
        assert item not in ids(feed(http, user_id="u3", n=50))
        took.append(perf_counter() - start)
    assert sorted(took)[2] < 0.2


def test_an_event_sent_twice_is_taken_once(http: httpx.Client) -> None:
    event = {"kind": "click", "user_id": "u4", "item_id": "i1", "event_id": "phone-1"}
    first = http.post("/v1/events", json=event).json()
    again = http.post("/v1/events", json=[event, event | {"event_id": "phone-2"}]).json()
    assert (first["accepted"], first["duplicates"]) == (1, 0)
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert again["offset"] > first["offset"]


def test_events_are_taken_all_or_none(http: httpx.Client, engine: Engine) -> None:
    before = engine.live.log.end
    good = {"kind": "click", "user_id": "u4", "item_id": "i1"}
    future = good | {"time_ms": 4 * 10**12}
    backwards = good | {"kind": "watch", "value": -5}
    found = problem(http.post("/v1/events", json=[good, future, backwards]), 422)
    assert engine.live.log.end == before
    assert [e["index"] for e in found["events"]] == [1, 2]
    assert "future" in found["events"][0]["given"]
    assert "negative" in found["events"][1]["given"]


def test_an_item_nobody_described_is_taken(http: httpx.Client) -> None:
    assert click(http, "u5", "a stranger")["accepted"] == 1
    assert feed(http, user_id="u5")["degraded"] == []


def test_no_events_are_no_error(http: httpx.Client) -> None:
    assert http.post("/v1/events", json=[]).json()["accepted"] == 0


def test_ten_thousand_events_at_once_and_not_one_more(http: httpx.Client, engine: Engine) -> None:
    event = {"kind": "impression", "user_id": "u6", "item_id": "i1"}
    before = engine.live.log.end
    assert http.post("/v1/events", json=[event] * 10_000).json() == {
        "accepted": 10_000, "duplicates": 0, "offset": before + 10_000,
    }  # fmt: skip
    problem(http.post("/v1/events", json=[event] * 10_001), 422)


# Traces


def test_the_trace_of_a_feed_is_there_at_once(http: httpx.Client) -> None:
    answer = feed(http, user_id="u7", n=4)
    trace = http.get(f"/v1/trace/{answer['request_id']}").json()
    assert trace["items"] == answer["items"]
    stages = {s["stage"]: s for s in trace["stages"]}
    assert stages["merge"]["n_in"] >= stages["merge"]["n_out"] > stages["slate"]["n_out"] == 4
    assert stages["filter.seen"]["dropped"]["seen"] == len(trace["fates"]["seen"])


def test_an_unknown_trace_is_not_found(http: httpx.Client) -> None:
    assert "feed's answer" in problem(http.get("/v1/trace/nothing"), 404)["fix"]


# The house around it


def test_health_and_readiness(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "alive"}
    ready = http.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["items"] >= 60
    assert ready["problems"] == []


def test_a_path_or_method_that_does_not_exist(http: httpx.Client) -> None:
    assert "/openapi.json" in problem(http.get("/v2/feed"), 404)["expected"]
    answer = http.get("/v1/feed")
    assert "POST" in problem(answer, 405)["expected"]
    assert answer.headers["allow"] == "POST"
    problem(http.get("/docs"), 404)


@pytest.mark.parametrize(("path", "limit"), [("/v1/feed", 1 << 20), ("/v1/events", 16 << 20)])
def test_a_body_that_is_too_large(http: httpx.Client, path: str, limit: int) -> None:
    assert str(limit) in problem(http.post(path, content=b" " * (limit + 1)), 413)["expected"]

    def endless() -> Iterator[bytes]:
        for _ in range(limit // 65_536 + 1):
            yield b" " * 65_536

    problem(http.post(path, content=endless()), 413)


def test_the_home_page_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /v1/feed" in page.text
    assert "://" not in page.text.replace("http://www.w3.org", "")


def test_the_openapi_document_describes_every_route_with_examples_that_work(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/v1/feed", "/v1/events", "/v1/trace/{request_id}", "/healthz", "/readyz"} | {
        "/v1/search", "/v1/similar/{item_id}", "/v1/experiments", "/v1/experiments/end_holdout",
        "/v1/experiments/{name}", "/v1/experiments/{name}/{step}", "/metrics", "/", "/openapi.json",
    }  # fmt: skip
    text = str(document)
    for name in ("FeedBody", "FeedResponse", "EventBody", "Accepted", "Trace", "Problem"):
        assert name in document["components"]["schemas"]
        assert f"#/components/schemas/{name}" in text
    for path in ("/v1/feed", "/v1/events"):
        example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert http.post(path, json=example).status_code == 200


def test_a_log_that_cannot_be_written_refuses_events_and_not_feeds(http: httpx.Client, engine: Engine) -> None:
    event = {"kind": "click", "user_id": "u1", "item_id": "i1"}
    with full_disk(engine):
        before = engine.live.log.end
        found = problem(http.post("/v1/events", json=[event] * 5000), 503)
        assert "full" in found["given"]
        assert "free some space" in found["fix"]
        answer = feed(http, user_id="u1", n=500)
        assert len(answer["items"]) > 5
        assert answer["degraded"] == ["exposure"]
        assert engine.live.log.end == before
    assert http.post("/v1/events", json=event).json()["accepted"] == 1


def test_an_unexpected_error_gives_a_reference_and_no_traceback(
    http: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(engine, "recommend", broken)
    answer = http.post("/v1/feed", json={"user_id": "u"})
    found = problem(answer, 500)
    assert "secret" not in answer.text
    reference = found["given"].rpartition(" ")[2]
    assert reference in caplog.text
    assert "secret detail" in caplog.text


def test_many_clients_at_once(http: httpx.Client) -> None:
    def ask(i: int) -> dict[str, Any]:
        return feed(http, user_id=f"u{i % 40}", n=5)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(64)))
    assert len({a["request_id"] for a in answers}) == 64
    assert all(len(a["items"]) == 5 and a["degraded"] == [] for a in answers)


def test_a_client_that_hangs_up_harms_nobody(http: httpx.Client, server: Server) -> None:
    for sent in (b"POST /v1/feed HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", b"nonsense\r\n\r\n"):
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(sent)
    assert len(feed(http, user_id="u1", n=5)["items"]) == 5


def test_before_it_is_warm_it_is_alive_and_not_ready(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine.open(make()) as engine:
        warm = threading.Event()
        monkeypatch.setattr(engine, "warm", lambda: warm.wait(20))
        with Server(engine) as cold, httpx.Client(base_url=cold.url, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            assert "warming" in problem(client.get("/readyz"), 503)["given"]
            assert len(feed(client, user_id="u1", n=2)["items"]) == 2
            warm.set()
            start = perf_counter()
            while client.get("/readyz").status_code != 200:
                assert perf_counter() - start < 20
                threading.Event().wait(0.01)
