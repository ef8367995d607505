"""Items like an item: from which channel, and over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import httpx
import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.errors import NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.retrieval.vector import VectorChannel, VectorConfig
from feedmill.serve.build import Names
from feedmill.serve.engine import Engine
from feedmill.serve.server import Server
from feedmill.serve.similar import lookups, similar
from feedmill.state import State
from serve.test_app import problem

NEIGHBOURS = np.array([[0, 0, 0], [2, 3, 4], [1, 0, 0], [0, 0, 0]], np.int32)
SIMS = np.array([[0, 0, 0], [0.9, 0.5, 0.25], [0.9, 0, 0], [0, 0, 0]], np.float32)
VECTORS = np.array([[0, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 0]], np.float32)


class Lists:
    """An item-to-item channel, as far as this goes."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def state() -> State:
    state = State()
    items = [f"i{row}" for row in range(1, 6)]
    payloads = [f'{{"title": "Item {row}"}}' for row in range(1, 6)]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": items, "payload": payloads}))
    return state


def asked(state: State, *names: str) -> Any:
    parts = {
        "cf": Part("itemcf", {}, {"neighbours": NEIGHBOURS, "sims": SIMS}),
        "mf": Part("vector", {}, {"item_vectors": VECTORS, "user_vectors": VECTORS}),
        "popular": Part("popular", {}, {}),
    }
    channels = {
        "cf": Lists("cf"),
        "mf": VectorChannel("mf", VectorConfig(metric="cosine"), parts["mf"], state),
        "popular": Lists("popular"),
    }
    return lookups([channels[name] for name in names], parts, state)  # type: ignore[misc]


def answer(state: State, names: tuple[str, ...], item: str, n: int = 10) -> tuple[str, list[str]]:
    found = similar(state, Names(state), asked(state, *names), item, n)
    return found.channel, [x.item_id for x in found.items]


def test_lists_of_neighbours_go_before_vectors(state: State) -> None:
    assert answer(state, ("popular", "mf", "cf"), "i1") == ("cf", ["i2", "i3", "i4"])
    assert answer(state, ("popular", "mf", "cf"), "i1", 2) == ("cf", ["i2", "i3"])
    assert answer(state, ("mf",), "i1") == ("mf", ["i2", "i3"])


def test_where_one_channel_knows_nothing_the_next_is_asked(state: State) -> None:
    assert answer(state, ("cf", "mf"), "i3") == ("mf", ["i2", "i1"])
    assert answer(state, ("cf", "mf"), "i4") == ("", []), "no list, and a vector of zeros"
    assert answer(state, ("cf", "mf"), "i5") == ("", []), "newer than both"
    assert answer(state, ("popular",), "i1") == ("", [])
    assert answer(state, (), "i1") == ("", [])


def test_what_was_taken_down_is_left_out_and_does_not_count(state: State) -> None:
    hidden = {"kind": int(Kind.ITEM), "item_id": ["i2"], "payload": '{"available": false}'}
    state.fold(EventBatch.of(hidden))
    assert answer(state, ("cf",), "i1", 2) == ("cf", ["i3", "i4"])
    assert answer(state, ("mf",), "i1", 2) == ("mf", ["i3"])
    assert answer(state, ("cf", "mf"), "i2") == ("cf", ["i1"]), "it may be asked about all the same"


def test_scores_are_those_of_the_channel(state: State) -> None:
    found = similar(state, Names(state), asked(state, "cf"), "i1", 9)
    assert [x.score for x in found.items] == [0.9, 0.5, 0.25]
    assert [x.title for x in found.items] == ["Item 2", "Item 3", "Item 4"]


@pytest.mark.parametrize("item", ["", "i9", "x" * 5000])
def test_an_item_that_the_log_has_not_seen(state: State, item: str) -> None:
    with pytest.raises(NotFoundError) as error:
        similar(state, Names(state), asked(state, "cf"), item, 3)
    assert len(error.value.given) < 200


# Over HTTP


@pytest.fixture(scope="module")
def http(trained_copy: Workspace) -> Iterator[httpx.Client]:
    with (
        Engine.open(trained_copy) as engine,
        Server(engine) as server,
        httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client,
    ):
        start = perf_counter()
        while client.get("/readyz").status_code != 200:
            assert perf_counter() - start < 60
            threading.Event().wait(0.02)
        yield client


def ask(http: httpx.Client, item_id: str, **query: Any) -> dict[str, Any]:
    answer = http.get(f"/v1/similar/{item_id}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def test_similar_items_are_of_the_same_taste(http: httpx.Client) -> None:
    """Whoever clicks an item with an even number clicks even ones alone."""
    answer = ask(http, "i4", n=7)
    assert (answer["item_id"], answer["title"], answer["channel"]) == ("i4", "Item 4", "itemcf")
    assert len(answer["version"]) == 12
    assert len(answer["items"]) == 7
    numbers = [int(item["item_id"][1:]) for item in answer["items"]]
    assert 4 not in numbers
    assert all(number % 2 == 0 for number in numbers)
    assert answer["items"][0]["title"] == f"Item {numbers[0]}"
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] <= scores[0] <= 1
    assert len(ask(http, "i4")["items"]) == 10
    assert ask(http, "i4", n=3)["items"] == answer["items"][:3]


def test_similar_items_that_were_taken_down_are_left_out(http: httpx.Client) -> None:
    before = [item["item_id"] for item in ask(http, "i6")["items"]]
    for available in (False, True):
        event = {"kind": "item", "item_id": before[0], "payload": {"available": available}}
        assert http.post("/v1/events", json=event).status_code == 200
        now = [item["item_id"] for item in ask(http, "i6")["items"]]
        assert (before[0] in now) == available
        assert len(now) == 10


def test_an_item_that_no_model_knows_yet_has_nothing_similar(http: httpx.Client) -> None:
    described = {"kind": "item", "item_id": "new/born item", "payload": {"title": "Just here"}}
    assert http.post("/v1/events", json=described).status_code == 200
    answer = ask(http, "new/born%20item")
    assert (answer["item_id"], answer["title"]) == ("new/born item", "Just here")
    assert (answer["items"], answer["channel"]) == ([], "")


def test_an_unknown_item_is_not_found(http: httpx.Client) -> None:
    found = problem(http.get("/v1/similar/nothing"), 404)
    assert "nothing" in found["given"]
    assert "kind item" in found["fix"]
    problem(http.get("/v1/similar/"), 404)


@pytest.mark.parametrize(
    ("query", "given", "said"),
    [
        ("n=0", "n = 0", "1 to 500"),
        ("n=-1", "n = -1", "1 to 500"),
        ("n=501", "n = 501", "1 to 500"),
        ("n=ten", 'n = "ten"', "int"),
        ("n=", 'n = ""', "int"),
        ("n=99999999999999999999", "n = ", "int"),
        ("m=3", 'unknown field "m"', "n"),
    ],
)
def test_similar_items_that_cannot_be_asked_for(http: httpx.Client, query: str, given: str, said: str) -> None:
    found = problem(http.get(f"/v1/similar/i4?{query}"), 422)
    assert given in found["given"]
    assert said in found["expected"] + found.get("fix", "")
