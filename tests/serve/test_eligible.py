from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.filter import everything
from feedmill.core.config import convert
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.serve.eligible import Eligible, EligibleConfig
from feedmill.state import State

NOW_MS = 1_700_000_000_000
REQUEST = FeedRequest(request_id="r", user_id="u", time_ms=NOW_MS)


def describe(state: State, kind: Kind, which: str, **about: Any) -> None:
    ids = {"item_id" if kind == Kind.ITEM else "user_id": which}
    state.fold(EventBatch.of({"kind": [int(kind)], "payload": json.dumps(about), **ids}))


def world(items: Mapping[str, Mapping[str, Any]], users: Mapping[str, Mapping[str, Any]]) -> State:
    state = State()
    for item, about in items.items():
        describe(state, Kind.ITEM, item, **about)
    for user, about in users.items():
        describe(state, Kind.USER, user, **about)
    return state


def kept(state: State, user: str = "u", context: Mapping[str, str] | None = None, **parameters: Any) -> set[str]:
    batch = everything(state)
    request, made = replace(REQUEST, context=dict(context or {})), Eligible(convert(parameters, EligibleConfig), state)
    mask = made.keep(request, state.view(user, NOW_MS, context), batch)
    return set(state.items.ids(batch.item[mask]))


AGES = {"all": {}, "six": {"min_age": 6}, "adult": {"min_age": "18"}, "odd": {"min_age": "grown up"}}


def test_age() -> None:
    state = world(AGES, {"adult": {"age": 18}, "child": {"age": 17.5}, "odd": {"age": "25-34"}, "none": {}})
    assert kept(state, "adult") == {"all", "six", "adult", "odd"}
    assert kept(state, "child") == {"all", "six", "odd"}
    for unknown in ("odd", "none", "a stranger"):
        assert kept(state, unknown) == {"all", "odd"}
        assert kept(state, unknown, unknown_age=12) == {"all", "six", "odd"}


PLACES = {
    "all": {},
    "empty": {"regions": " , "},
    "dach": {"regions": "de, AT,ch"},
    "fr": {"regions": "FR"},
    "not_de": {"blocked_regions": "DE"},
    "eu_not_at": {"regions": "DE,AT,FR", "blocked_regions": "at"},
}


def test_regions() -> None:
    state = world(PLACES, {"de": {"region": "DE"}, "at": {"region": " at "}, "us": {"region": "US"}})
    assert kept(state, "de") == {"all", "empty", "dach", "eu_not_at"}
    assert kept(state, "at") == {"all", "empty", "dach", "not_de"}
    assert kept(state, "us") == {"all", "empty", "not_de"}
    assert kept(state, "a stranger") == {"all", "empty"}, "where they are is not known: nothing that has a limit"


def test_a_request_says_where_its_user_is() -> None:
    state = world(PLACES, {"u": {"region": "FR"}, "somebody": {"region": "DE"}})
    assert kept(state) == {"all", "empty", "fr", "not_de", "eu_not_at"}
    assert kept(state, context={"region": "DE"}) == {"all", "empty", "dach", "eu_not_at"}
    assert kept(state, context={"region": "AT"}) == {"all", "empty", "dach", "not_de"}, "of nobody in the log"
    assert kept(state, "a stranger", {"region": "DE"}) == {"all", "empty", "dach", "eu_not_at"}


def test_other_names() -> None:
    state = world({"a": {"rating": 16, "sold_in": "x"}, "b": {}}, {"u": {"years": 20, "land": "X"}})
    names = {"min_age": "rating", "age": "years", "regions": "sold_in", "region": "land"}
    assert kept(state, **names) == {"a", "b"}
    assert kept(state, "nobody", **names) == {"b"}
    assert kept(state, "nobody") == {"a", "b"}, "attributes that no item has limit nothing"


def test_items_are_described_while_it_serves() -> None:
    state = world({"a": {}, "b": {}}, {"u": {"region": "DE", "age": 30}})
    made, user = Eligible(EligibleConfig(), state), state.view("u", NOW_MS)
    for about, expected in (
        ({"regions": "FR"}, [False, True]),
        ({"regions": "FR,DE"}, [True, True]),
        ({"min_age": 31}, [False, True]),
        ({"min_age": None, "blocked_regions": "de"}, [False, True]),
        ({"blocked_regions": None}, [True, True]),
    ):
        describe(state, Kind.ITEM, "a", **about)
        assert made.keep(REQUEST, user, everything(state)).tolist() == expected


CODES = st.lists(st.sampled_from(["de", "at", "fr"]), max_size=3)
ITEMS = st.lists(st.tuples(st.sampled_from([None, 0, 6, 18]), CODES, CODES), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(ITEMS, st.sampled_from([None, 5, 6, 40]), st.sampled_from([None, "de", "fr", "us"]))
def test_equals_the_words(items: list[Any], age: int | None, region: str | None) -> None:
    """Item by item, as the documentation says it."""
    about = [{"min_age": m, "regions": ",".join(r), "blocked_regions": ",".join(b)} for m, r, b in items]
    state = world({f"i{n}": a for n, a in enumerate(about)}, {"u": {"age": age, "region": region}})
    expected = {
        f"i{n}"
        for n, (min_age, only, blocked) in enumerate(items)
        if (min_age or 0) <= (age or 0)
        and (not only or region in only)
        and (region not in blocked if region else not blocked)
    }
    assert kept(state) == expected


def test_it_knows_no_exceptions() -> None:
    assert not Eligible.soft


@pytest.mark.parametrize("n", [0, 1])
def test_no_candidates(n: int) -> None:
    state = world(PLACES, {})
    batch = everything(state).take(np.arange(n))
    assert len(Eligible(EligibleConfig(), state).keep(REQUEST, state.view("u", 0), batch)) == n
