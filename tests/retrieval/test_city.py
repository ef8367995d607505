from __future__ import annotations

import json
from typing import Any

import pytest

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.city import CityChannel, CityConfig
from feedmill.state import State
from retrieval.test_followed import ids, opened
from retrieval.test_keyed import described


def lives(state: State, user: str, **about: Any) -> None:
    state.fold(EventBatch.rows([{"kind": Kind.USER, "user_id": user, "payload": json.dumps(about)}]))


def test_city_then_country() -> None:
    state = State()
    lives(state, "u", country="de", city="Ulm")
    lives(state, "v", country="de")
    state.fold(
        described(
            ("munich", {"city": "Munich", "country": "de"}),
            ("ulm", {"country": "de", "city": "Ulm"}),
            ("paris", {"city": "Paris", "country": "fr"}),
            ("ulm, too", {"city": "Ulm", "country": "de"}),
        )
    )
    channel = opened(CityChannel, state, [(1, 4)], attributes=["city", "country"])
    assert ids(state, channel) == ["ulm, too", "ulm", "munich"]
    assert ids(state, channel, user="v") == ["ulm, too", "munich", "ulm"]
    assert ids(state, channel, user="stranger") == []
    assert ids(state, channel, context={"city": "Paris"}) == ["paris", "ulm, too", "munich", "ulm"]
    state.fold(described(("new", {"city": "Ulm"}), ("munich", {"city": "Ulm"})))
    assert ids(state, channel) == ["ulm, too", "munich", "ulm", "new"]


CELLS = {"same": "u4pruy", "beside": "u4pruv", "wider": "u4pru0", "far": "u4p000", "other": "9q8yyk"}


def test_own_cell_then_those_around_then_wider_ones() -> None:
    state = State()
    lives(state, "u", at="U4PRUYDQQVJ")
    state.fold(described(*((item, {"at": cell}) for item, cell in reversed(CELLS.items()))))
    channel = opened(CityChannel, state, attributes=[], geohash="at", precisions=[6, 5, 3])
    assert ids(state, channel) == ["same", "beside", "wider", "far"]
    assert ids(state, channel, context={"at": "9q8yykx"}) == ["other"]
    assert ids(state, channel, context={"at": "nowhere!"}) == []
    assert ids(state, opened(CityChannel, state, attributes=[], geohash="at", precisions=[6])) == ["same", "beside"]


def test_latitude_and_longitude_are_cells_too() -> None:
    state = State()
    lives(state, "u", lat=57.64911, lon=10.40744)
    state.fold(
        described(
            ("far", {"lat": -33.9, "lon": 18.4}),
            ("near", {"lat": 57.65, "lon": 10.41}),
            ("unknown", {"lat": "?", "lon": 1}),
            ("half", {"lat": 57.65}),
            ("there", {"lat": 57.64911, "lon": 10.40744}),
        )
    )
    channel = opened(CityChannel, state, attributes=[], latitude="lat", longitude="lon", precisions=[8, 5])
    assert ids(state, channel) == ["there", "near"]
    state.fold(described(("half", {"lon": 10.41})))
    assert ids(state, channel) == ["there", "near", "half"]
    assert ids(state, channel, context={"lat": "-33.9", "lon": "18.4"}) == ["far"]
    assert ids(state, channel, context={"lat": "north"}) == []


def test_attributes_that_nobody_has_answer_nothing() -> None:
    state = State()
    state.fold(described(("a", {})))
    assert ids(state, opened(CityChannel, state)) == []
    assert ids(state, opened(CityChannel, state, latitude="lat", longitude="lon")) == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"latitude": "lat"}, "both"),
        ({"geohash": "at", "latitude": "lat", "longitude": "lon"}, "one of the two"),
        ({"precisions": [4, 5]}, "fall"),
        ({"precisions": [13]}, "12"),
        ({"attributes": []}, "nothing says where"),
    ],
)
def test_mistakes_are_named(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as e:
        convert(raw, CityConfig, "retrieval.channels.city")
    assert words in str(e.value)
