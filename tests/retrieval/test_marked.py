from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.batches import CandidateBatch, Part
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.retrieval.marked import MarkedChannel, MarkedConfig
from feedmill.state import State

NOW_MS = 1_700_000_000_000
REQUEST = FeedRequest(request_id="r", user_id="nobody", time_ms=NOW_MS)


def describe(state: State, item: str, **about: Any) -> None:
    state.fold(EventBatch.of({"kind": [int(Kind.ITEM)], "item_id": item, "payload": json.dumps(about)}))


def channel(state: State, **parameters: Any) -> MarkedChannel:
    return MarkedChannel("ads", convert(parameters, MarkedConfig), Part("marked", {}, {}), state)


def fetch(of: MarkedChannel, state: State, limit: int = 10) -> CandidateBatch:
    return of.fetch(REQUEST, state.view("nobody", NOW_MS), limit)


def ids(of: MarkedChannel, state: State, limit: int = 10) -> list[str]:
    return state.items.ids(fetch(of, state, limit).item)


def test_what_is_marked_the_highest_bid_first() -> None:
    state = State()
    for item, about in {
        "a": {"slot": "ad", "bid": 2.5},
        "b": {"slot": "ad", "bid": 7},
        "c": {"slot": "operations", "bid": 9},
        "d": {"slot": "ad"},
        "e": {"bid": 99},
        "f": {"slot": "ad", "bid": "much"},
        "g": {"slot": "ad", "bid": 7},
        "h": {"slot": "ad", "bid": -1},
    }.items():
        describe(state, item, **about)
    ads = channel(state, order="bid")
    assert ids(ads, state) == ["b", "g", "a", "d", "f", "h"]
    assert fetch(ads, state).found[:, 0].tolist() == [7, 7, 2.5, 0, 0, -1]
    assert ids(ads, state, 2) == ["b", "g"]
    assert ids(channel(state, value="operations"), state) == ["c"]
    assert ids(channel(state, value="nothing"), state) == []
    assert ids(channel(state, attribute="nothing"), state) == []


def test_without_a_number_the_latest_first() -> None:
    state = State()
    for day in (5, 1, 3):
        describe(state, f"i{day}", slot="ad", publish_ms=NOW_MS - day * 86_400_000)
    assert ids(channel(state), state) == ["i1", "i3", "i5"]
    np.testing.assert_allclose(fetch(channel(state), state).found[:, 0], [1 / 2, 1 / 4, 1 / 6])


def test_events_set_and_clear_marks_and_bids_while_it_serves() -> None:
    state = State()
    describe(state, "a")
    ads = channel(state, order="bid")
    assert ids(ads, state) == [], "nothing has the attribute yet"
    describe(state, "a", slot="ad", bid=1)
    describe(state, "new", slot="ad", bid=2)
    assert ids(ads, state) == ["new", "a"]
    describe(state, "a", bid=3)
    assert ids(ads, state) == ["a", "new"]
    describe(state, "new", slot=None)
    assert ids(ads, state) == ["a"]
    describe(state, "a", available=False)
    assert ids(ads, state) == []
    describe(state, "a", available=True)
    describe(state, "new", slot="ad", publish_ms=NOW_MS + 1)
    assert ids(ads, state) == ["a"], "what is published later is not to be had yet"


CHANGES = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([None, "ad", "operations"]), st.integers(0, 4)), max_size=30
)


@settings(max_examples=50, deadline=None)
@given(CHANGES, st.integers(0, 15))
def test_following_events_one_by_one_is_reading_them_all(changes: list[tuple[int, Any, int]], limit: int) -> None:
    state = State()
    ads, now = channel(state, order="bid"), {}
    for item, slot, bid in changes:
        describe(state, f"i{item}", slot=slot, bid=bid)
        now[f"i{item}"] = slot, bid
        fetch(ads, state)
    meant = [(-bid, state.items.row(item), item) for item, (slot, bid) in now.items() if slot == "ad"]
    assert ids(ads, state, limit) == [item for *_, item in sorted(meant)][:limit]
    assert ids(channel(state, order="bid"), state, limit) == ids(ads, state, limit)


@pytest.mark.parametrize("wrong", [{"attribute": ""}, {"value": ""}, {"valeu": "ad"}])
def test_a_wrong_config_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        convert(wrong, MarkedConfig, "retrieval.channels.ads")
