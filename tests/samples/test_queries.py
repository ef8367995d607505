"""Searches and the clicks that came of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from feedmill.core.events import EventBatch, Kind
from feedmill.samples.queries import QueriesConfig, QueryPairs, query_pairs, run_of_own_words
from feedmill.state import State
from worlds import START_MS

SECOND = 1000


def search(s: float, user: str, text: str, request: str = "") -> dict[str, Any]:
    return {
        "time_ms": START_MS + int(s * SECOND), "kind": Kind.SEARCH, "user_id": user, "payload": text,
        "request_id": request,
    }  # fmt: skip


def act(s: float, user: str, item: str, kind: Kind = Kind.CLICK, request: str = "") -> dict[str, Any]:
    return {
        "time_ms": START_MS + int(s * SECOND), "kind": kind, "user_id": user, "item_id": item, "request_id": request,
    }  # fmt: skip


def pairs_of(*rows: dict[str, Any], **config: Any) -> QueryPairs:
    titles = [{"kind": Kind.ITEM, "item_id": i, "payload": json.dumps({"title": f"Film {i}"})} for i in "abc"]
    events = EventBatch.rows([*titles, *rows])
    state = State()
    state.fold(events)
    texts = ["", "Film a", "Film b", "Film c"]
    return query_pairs(events, state, texts, QueriesConfig(**({"own_words": 0} | config)), seed=1)


def said(pairs: QueryPairs) -> list[tuple[str, str]]:
    return [(pairs.texts[q], " abc"[i]) for q, i in zip(pairs.query.tolist(), pairs.item.tolist(), strict=True)]


def test_a_click_belongs_to_the_user_s_last_search() -> None:
    pairs = pairs_of(
        search(0, "u", "first"), search(5, "v", "of another"), search(10, "u", "  Second   ONE "),
        act(20, "u", "a"), act(25, "u", "b", Kind.WATCH), act(26, "w", "c"), act(30, "v", "c"),
    )  # fmt: skip
    assert said(pairs) == [("second one", "a"), ("second one", "b"), ("of another", "c")]
    assert pairs.n_searched == 3


def test_not_before_the_search_not_long_after_and_once() -> None:
    pairs = pairs_of(
        act(-1, "u", "a"), search(0, "u", "x"), act(600, "u", "b"), act(600, "u", "b", Kind.FINISH), act(601, "u", "c")
    )
    assert said(pairs) == [("x", "b")]
    assert said(pairs_of(search(0, "u", "x"), act(600, "u", "b"), window_s=10)) == []
    assert said(pairs_of(search(0, "u", "x"), act(1, "u", "a", Kind.IMPRESSION), act(2, "u", "a", Kind.LIKE))) == []


def test_a_request_id_says_it_for_certain() -> None:
    pairs = pairs_of(
        search(0, "u", "asked", "r1"), search(5, "u", "last", "r2"),
        act(3_000, "u", "a", request="r1"), act(6, "u", "b", request="a feed"), act(7, "v", "c", request="r1"),
    )  # fmt: skip
    assert said(pairs) == [("asked", "a")]


def test_nobody_and_blank_searches_teach_nothing() -> None:
    assert said(pairs_of(search(0, "u", "  "), act(1, "u", "a"))) == []
    assert len(pairs_of(search(0, "u", "x"))) == 0
    assert len(pairs_of()) == 0


def test_the_same_query_is_one_text() -> None:
    pairs = pairs_of(search(0, "u", "X"), act(1, "u", "a"), search(2, "v", "x "), act(3, "v", "b"))
    assert pairs.texts == ["x"]
    assert pairs.query.tolist() == [0, 0]


def test_items_under_their_own_words() -> None:
    pairs = pairs_of(search(0, "u", "x"), act(1, "u", "a"), own_words=2)
    assert pairs.n_searched == 1
    assert pairs.item.tolist() == [1, 1, 1, 2, 2, 3, 3]
    whole = [text for text, _ in said(pairs)][1::2]
    assert whole == ["film a", "film b", "film c"]
    for text, item in said(pairs)[1:]:
        assert text in f"film {item}"
        assert text


def test_runs_are_of_whole_words_and_of_characters_and_the_same_for_a_seed() -> None:
    texts = ["", "one two three", "", "电影 好x"]
    first, items = run_of_own_words(texts, 20, seed=3)
    assert (first, items.tolist()) == (run_of_own_words(texts, 20, seed=3)[0], [1] * 20 + [3] * 20)
    assert set(first[:20]) <= {"one two three", "one two", "two three", "one", "two", "three"}
    assert {"好x", "电", "影 好"} <= set(run_of_own_words(texts, 200, seed=3)[0])
    assert len(set(first)) > 8
    assert run_of_own_words([], 2, seed=0)[1].dtype == np.int32
