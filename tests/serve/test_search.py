"""POST /v1/search over real HTTP, and what the log and the feed learn of it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import pytest

from feedmill.core.errors import ArtifactError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.serve.server import Server
from serve.test_app import problem
from serve.words import TEXT, train_words
from serve.world import START_MS, Open, full_disk, log_of

CHANNELS = {"popular": {"limit": 30}, "text": TEXT}


@pytest.fixture(scope="module")
def worded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a text model, to copy."""
    folder = tmp_path_factory.mktemp("worded") / "feed"
    shutil.copytree(trained, folder)
    train_words(Workspace.open(folder, {"retrieval.channels": CHANNELS}))
    return folder


@pytest.fixture
def apart(worded: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine of one test's own."""
    shutil.copytree(worded, tmp_path / "feed")
    with Engine.open(Workspace.open(tmp_path / "feed", {"retrieval.channels": CHANNELS})) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(worded: Path) -> Iterator[Engine]:
    with Engine.open(Workspace.open(worded, {"retrieval.channels": CHANNELS})) as opened:
        yield opened


@pytest.fixture(scope="module")
def http(engine: Engine) -> Iterator[httpx.Client]:
    with Server(engine) as server, httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        start = perf_counter()
        while client.get("/readyz").status_code != 200:
            assert perf_counter() - start < 60
            threading.Event().wait(0.02)
        yield client


def searches(engine: Engine, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = log_of(engine).table.to_pylist()
    return [row for row in rows if row["kind"] == Kind.SEARCH and row["payload"].casefold() == query]


def test_items_for_words(http: httpx.Client, engine: Engine) -> None:
    answer = http.post("/v1/search", json={"query": "ITEM 37", "n": 5})
    assert answer.status_code == 200
    found = answer.json()
    assert found["query"] == "ITEM 37"
    assert found["degraded"] == []
    assert found["version"]
    assert len(found["items"]) == 5
    first = found["items"][0]
    assert (first["item_id"], first["title"], first["position"]) == ("i37", "Item 37", 0)
    assert first["value"] == pytest.approx(1, abs=1e-5)
    assert first["channels"] == {"text": first["value"]}
    values = [item["value"] for item in found["items"]]
    assert values == sorted(values, reverse=True)
    assert searches(engine, "item 37") == []  # nobody searched


@pytest.mark.parametrize("query", ["", "   ", "qwertz", "什么电影", "🎬", "สวัสดี", "\0"])
def test_words_of_which_nothing_is_known(http: httpx.Client, query: str) -> None:
    answer = http.post("/v1/search", json={"query": query})
    assert answer.status_code == 200
    assert answer.json()["items"] == []


@pytest.mark.parametrize(
    ("body", "given", "said"),
    [
        ({}, 'no field "query"', "words"),
        ({"query": 7}, "query = 7", "str"),
        ({"query": None}, "query = null", "str"),
        ({"query": "x" * 257}, "query = 'xxx", "256"),
        ({"query": "x", "n": 0}, "n = 0", "1 to 500"),
        ({"query": "x", "n": 501}, "n = 501", "1 to 500"),
        ({"query": "x", "n": "ten"}, 'n = "ten"', "int"),
        ({"query": "x", "user_id": "u" * 257}, "user_id = 'uuu", "1 to 256"),
        ({"query": "x", "user_id": ["u"]}, 'user_id = ["u"]', "int | str"),
        ({"quer": "x"}, 'unknown field "quer"', "query"),
        ([], "[]", "object"),
    ],
)
def test_what_cannot_be_searched(http: httpx.Client, engine: Engine, body: Any, given: str, said: str) -> None:
    found = problem(http.post("/v1/search", content=json.dumps(body)), 422)
    assert given in found["given"]
    assert said in found["expected"] + found["fix"]
    assert searches(engine, "x") == []


def test_a_search_is_an_event_and_the_feed_goes_by_it(http: httpx.Client, engine: Engine) -> None:
    before = http.post("/v1/feed", json={"user_id": "u3", "n": 60}).json()
    assert not any("text" in item["channels"] for item in before["items"])
    answer = http.post("/v1/search", json={"query": "item 41", "user_id": "u3"}).json()
    (event,) = searches(engine, "item 41")
    assert (event["user_id"], event["payload"], event["request_id"]) == ("u3", "item 41", answer["request_id"])
    after = http.post("/v1/feed", json={"user_id": "u3", "n": 60}).json()
    assert any("text" in item["channels"] for item in after["items"])
    http.post("/v1/search", json={"query": "  ", "user_id": "u3"})
    assert searches(engine, "  ") == []


def test_the_query_of_a_feed(http: httpx.Client) -> None:
    feed = http.post("/v1/feed", json={"user_id": "new", "n": 60, "context": {"query": "item 12"}}).json()
    named = {item["item_id"]: item["channels"].get("text", -1) for item in feed["items"]}
    assert max(named, key=lambda item: named[item]) == "i12"


def test_what_was_taken_down_is_not_found_and_what_was_seen_is(apart: Engine) -> None:
    engine = apart
    assert engine.search("item 5").items[0].item_id == "i5"
    engine.append(
        EventBatch.of({"kind": int(Kind.CLICK), "user_id": ["u1"], "item_id": "i5", "time_ms": START_MS + 10**7})
    )
    assert engine.search("item 5", user_id="u1").items[0].item_id == "i5"
    gone = {"kind": int(Kind.ITEM), "item_id": ["i5"], "payload": '{"deleted": true}', "time_ms": START_MS + 10**7}
    engine.append(EventBatch.of(gone))
    assert "i5" not in [item.item_id for item in engine.search("item 5", 500).items]


def test_a_log_that_cannot_be_written_answers_and_says_so(apart: Engine) -> None:
    with full_disk(apart):
        answer = apart.search("item 5", user_id="u1")
    assert answer.items[0].item_id == "i5"
    assert answer.degraded == ["search"]


def test_without_a_channel_for_texts(opened: Open) -> None:
    with pytest.raises(NotFoundError, match="no channel of kind text") as caught:
        opened().search("x")
    assert "feedmill train" in caught.value.fix


def test_before_it_is_trained(opened: Open) -> None:
    with pytest.raises(ArtifactError, match="not trained"):
        opened(retrieval__channels__text=TEXT).search("x")
