from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import ProbeBatch
from feedmill.core.errors import NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.state import CROSS, TOPIC_WIDTH, State, StateConfig


def describe(state: State, payload: Any, item: str = "a", user: str = "") -> None:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    kind = Kind.USER if user else Kind.ITEM
    state.fold(EventBatch.rows([{"kind": kind, "item_id": "" if user else item, "user_id": user, "payload": text}]))


def test_every_key_finds_its_place() -> None:
    state = State()
    describe(
        state,
        {
            "title": "T",
            "author_id": 7,
            "topics": ["x", "y"],
            "duration_s": 2.5,
            "publish_ms": 9,
            "language": "de",
            "hd": True,
        },
    )
    known = state.catalogue
    assert known.title(1) == "T"
    assert known.title(0) == known.title(99) == ""
    assert known.authors.ids(known.author) == ["", "7"]
    assert known.topic_ids.ids(known.topics[1]) == ["x", "y", *[""] * (TOPIC_WIDTH - 2)]
    assert known.duration_s[1] == 2.5
    assert np.isnan(known.duration_s[0])
    assert known.publish_ms.tolist() == [0, 9]
    assert known.available.tolist() == [False, True]
    assert known.item_attributes == ("language", "hd")
    assert [known.values(name)[known.item_codes(name)[1]] for name in known.item_attributes] == ["de", "true"]
    assert known.n_malformed == 0


def test_a_later_event_sets_its_keys_only_and_null_makes_unknown() -> None:
    state = State()
    describe(state, {"title": "T", "author_id": "x", "topics": ["p"], "publish_ms": 5, "language": "de"})
    describe(state, {"topics": ["q"], "language": "fr", "publish_ms": None})
    known = state.catalogue
    assert (known.title(1), known.author[1], known.publish_ms[1]) == ("T", 1, 0)
    assert known.topic_ids.ids(known.topics[1])[:2] == ["q", ""]
    assert known.item_codes("language").tolist() == [0, 2]
    describe(state, {"title": None, "author_id": None, "topics": None, "language": None, "duration_s": None})
    assert (known.title(1), known.author[1], known.topics[1, 0], known.item_codes("language")[1]) == ("", 0, 0, 0)


def test_deleted_items_are_gone_until_made_available() -> None:
    state = State()
    describe(state, {"title": "T", "author_id": "x", "topics": ["p"], "duration_s": 3, "language": "de"})
    describe(state, {"deleted": True, "title": "ignored"})
    known = state.catalogue
    assert not known.available[1]
    assert (known.title(1), known.author[1], known.topics[1].sum(), known.item_codes("language")[1]) == ("", 0, 0, 0)
    assert np.isnan(known.duration_s[1])
    describe(state, {"title": "U"})
    assert not known.available[1]
    describe(state, {"available": True, "deleted": False})
    assert known.available[1]
    assert known.n_malformed == 0


def test_users_have_attributes_of_their_own() -> None:
    state = State()
    describe(state, {"language": "de"}, item="a")
    describe(state, {"language": "fr", "age": 30.0}, user="u")
    known = state.catalogue
    assert known.user_attributes == ("language", "age")
    assert known.values("language", "user") == ["", "fr"]
    assert known.values("age", "user") == ["", "30"]
    assert state.view("u", 0).profile.tolist() == [[1, 1]]
    assert state.view("stranger", 0).profile.tolist() == [[0, 0]]
    describe(state, {"deleted": True}, user="u")
    assert known.user_codes("language").tolist() == [0, 0]
    with pytest.raises(NotFoundError, match='did you mean "language"'):
        known.item_codes("langauge")


@pytest.mark.parametrize(
    ("payload", "n_malformed"),
    [
        ("{", 1), ("[1]", 1), ("7", 1), ("null", 1), ('{"a": "\\ud800"}', 1), ("[" * 100_000, 1), ('{"n": 1e999}', 1),
        ({"title": ["x"]}, 1), ({"author_id": {}}, 1), ({"topics": "x"}, 1), ({"topics": ["x", None, [1]]}, 1),
        ({"duration_s": "9"}, 1), ({"duration_s": -1}, 1), ({"duration_s": True}, 1), ({"duration_s": 1e300}, 1),
        ({"publish_ms": "x"}, 1), ({"publish_ms": 2**70}, 1), ({"available": "yes"}, 1), ({"deleted": 1}, 1),
        ({"other": [1]}, 1), ({"other": {}, "title": []}, 2),
        ("", 0), ("{}", 0), ({"topics": []}, 0), ({"topics": ["x"] * 99}, 0), ({"publish_ms": -5.5}, 0),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_ignored_and_counted(payload: Any, n_malformed: int) -> None:
    state = State()
    describe(state, payload)
    assert state.catalogue.n_malformed == n_malformed
    describe(state, {"title": "fine"})
    assert state.catalogue.title(1) == "fine"


def test_a_description_of_nobody_is_counted() -> None:
    state = State()
    state.fold(EventBatch.of({"kind": [20, 21], "payload": '{"title": "x", "language": "de"}'}))
    assert state.catalogue.n_malformed == 2
    assert state.catalogue.item_attributes == ()


def test_names_beyond_the_limit_are_ignored() -> None:
    state = State(StateConfig(max_attributes=2))
    describe(state, {"p": 1, "q": 2, "r": 3})
    assert state.catalogue.item_attributes == ("p", "q")
    assert state.catalogue.n_malformed == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["title", "author_id", "topics", "duration_s", "publish_ms", "available", "deleted", "x", "y"])


@given(st.lists(st.dictionaries(keys, json_values, max_size=5) | json_values, max_size=6))
def test_no_payload_raises_and_order_of_batches_does_not_matter(payloads: list[Any]) -> None:
    events = EventBatch.of(
        {
            "kind": [int(Kind.ITEM), int(Kind.USER)] * len(payloads),
            "item_id": "a",
            "user_id": "u",
            "payload": [json.dumps(p) for p in payloads for _ in range(2)],
        }
    )
    at_once, one_by_one = State(), State()
    at_once.fold(events)
    for i in range(len(events)):
        one_by_one.fold(events[i : i + 1])
    for name, array in at_once.tables.live().items():
        np.testing.assert_array_equal(array, one_by_one.tables.live()[name], err_msg=name)
    assert at_once.catalogue.n_malformed == one_by_one.catalogue.n_malformed
    assert np.isfinite(at_once.catalogue.duration_s[np.isfinite(at_once.catalogue.duration_s)]).all()


def test_answers_are_as_of_their_place_in_a_batch() -> None:
    """A probe between two descriptions sees the first; counters stay with the author the item had then."""
    rows = [
        {"kind": Kind.USER, "user_id": "u", "payload": '{"city": "Ulm"}'},
        {"kind": Kind.ITEM, "item_id": "a", "payload": '{"author_id": "x", "duration_s": 5}'},
        {"kind": Kind.CLICK, "user_id": "u", "item_id": "a"},
        {"kind": Kind.ITEM, "item_id": "a", "payload": '{"author_id": "y", "duration_s": 8}'},
        {"kind": Kind.USER, "user_id": "u", "payload": '{"city": "Bonn"}'},
    ]
    state = State(StateConfig(counts=("click.all",)))
    events = EventBatch.rows(rows)
    state.register(events)
    n = len(rows) + 1
    probes = ProbeBatch(
        user=np.ones(n, np.int32),
        time_ms=np.zeros(n, np.int64),
        at=np.arange(n),
        item=np.ones(n, np.int32),
        request_of=np.arange(n, dtype=np.int32),
    )
    probed = state.fold(events, probes)
    assert probed is not None
    np.testing.assert_array_equal(probed.cross[:, CROSS.index("duration_s")], [np.nan, np.nan, 5, 5, 8, 8])
    assert probed.author_counts[:, 0].tolist() == [0, 0, 0, 1, 0, 0]
    assert probed.item_counts[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert [state.catalogue.values("city", "user")[code] for code in probed.users.profile[:, 0]] == [
        "", "Ulm", "Ulm", "Ulm", "Ulm", "Bonn",
    ]  # fmt: skip


def test_described_says_which_items_changed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State()
    described = state.catalogue.described
    assert described.since(0).tolist() == []  # type: ignore[union-attr]
    for item in ("a", "b", "a", ""):
        describe(state, {"title": "T"}, item)
    describe(state, {"city": "Ulm"}, user="u")
    assert described.n == 3
    assert described.since(0).tolist() == [1, 2]  # type: ignore[union-attr]
    assert described.since(2).tolist() == [1]  # type: ignore[union-attr]
    assert described.since(3).tolist() == []  # type: ignore[union-attr]


@given(st.lists(st.lists(st.integers(1, 9), max_size=30), max_size=12), st.integers(0, 50))
def test_what_is_forgotten_is_said_to_be(batches: list[list[int]], since: int) -> None:
    from feedmill.state import described as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROOM", 16)
        described, everything = module.Described(), [row for rows in batches for row in rows]
        for rows in batches:
            described.note(rows)
        since = min(since, len(everything))
        got = described.since(since)
        if len(everything) - since > 16:
            assert got is None
        else:
            assert got is not None
            assert got.tolist() == sorted(set(everything[since:]))


def ages(state: State) -> np.ndarray:
    return state.catalogue.numbers("age", of="user")[state.catalogue.user_codes("age")]


def test_numbers_of_users_are_parsed_once_and_nan_where_there_are_none() -> None:
    state = State()
    with pytest.raises(NotFoundError, match="age"):
        ages(state)
    texts = ["31", 31, 4.5, "old", " 7 ", "1_0", "inf", "nan", "1e99", True, "-2e3"]
    for k, age in enumerate(texts):
        describe(state, {"age": age}, user=f"u{k}")
    wanted = [np.nan, 31, 31, 4.5, np.nan, 7, np.nan, np.nan, np.nan, np.nan, np.nan, -2000]
    np.testing.assert_array_equal(ages(state), np.array(wanted, np.float32))
    assert state.catalogue.numbers("age", of="user") is state.catalogue.numbers("age", of="user")
    describe(state, {"age": 99}, user="new")
    describe(state, {"other": 1}, user="without")
    numbers = ages(state)
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers[-2:], [99, np.nan])
    assert state.catalogue.values("age", of="user", since=11) == ["99"]
