"""Sources with answers known by hand, on one small log."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from feedmill.core.errors import ConfigError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeatureBatch, FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.sources import raw_ids, raw_numeric
from feedmill.features.spec import Numeric
from feedmill.state import Probed, State, StateConfig
from worlds import DAY_MS, START_MS, click

HERE, THERE = {"latitude": 52.52, "longitude": 13.40}, {"latitude": 31.2, "longitude": 121.5}


def about(kind: Kind, who: str, **keys: Any) -> dict[str, Any]:
    name = "item_id" if kind == Kind.ITEM else "user_id"
    return {"time_ms": START_MS, "kind": kind, name: who, "payload": json.dumps(keys)}


EVENTS = EventBatch.rows(
    [
        about(Kind.ITEM, "near", topics=["a", "b"], quality=0.9, **HERE),
        about(Kind.ITEM, "far", topics=["b"], quality=0.1, **THERE),
        about(Kind.ITEM, "nowhere", topics=["c"]), about(Kind.USER, "u", **HERE), about(Kind.USER, "v", city="x"),
        click(START_MS, "u", "near"), click(START_MS, "u", "near", Kind.LIKE), click(START_MS, "u", "far", Kind.LIKE),
        click(START_MS + DAY_MS, "u", "far"), click(START_MS + DAY_MS, "v", "nowhere"),
    ]
)  # fmt: skip


def served(user: str, **parameters: Any) -> tuple[FeatureSpec, dict[str, Any], State, Probed]:
    state = State(StateConfig(user_topics=100))
    state.fold(EVENTS)
    items = state.items.rows(["near", "far", "nowhere"])
    config = FeaturesConfig(min_count=1, **parameters)
    both = Probed.concat([state.probe(state.view(u, START_MS + 2 * DAY_MS), items) for u in ("u", "v")])
    spec, arrays = fit_features.fit(config, state, both)
    return spec, arrays, state, state.probe(state.view(user, START_MS + 2 * DAY_MS), items)


def ids(source: str, user: str = "u", **parameters: Any) -> np.ndarray[Any, Any]:
    spec, _, state, probed = served(user, **parameters)
    return raw_ids(next(f for f in spec.fields if f.source.startswith(source)), state, probed)


def numbers(source: str, user: str = "u", side: Any = "user") -> list[float]:
    spec, _, state, probed = served(user)
    values: list[float] = raw_numeric(spec, Numeric(source, side), state, probed, 0.0).tolist()
    return values


def test_user_and_item_in_one_cell_have_one_row_of_one_table() -> None:
    spec, arrays, state, probed = served("u", geohash=(3,))
    batch: FeatureBatch = assemble(spec, arrays, state, probed)
    mine = batch.user_ids[0, spec.starts("user")[[f.name for f in spec.side("user")].index("user_geohash_3")]]
    theirs = batch.item_ids[:, spec.starts("item")[[f.name for f in spec.side("item")].index("item_geohash_3")]]
    assert mine == theirs[0] > 0
    assert theirs[1] not in (0, mine)
    assert theirs[2] == 0
    assert not {"latitude", "longitude"} & {f.name for f in spec.fields}
    assert not ids("user.geohash", "v", geohash=(3,)).any()


def test_liked_topics_share_the_table_of_topics_most_liked_first() -> None:
    _, _, state, _ = served("u")
    names = state.catalogue.topic_ids.ids()
    assert [names[i] for i in ids("user.liked_topics", liked_topics=True)[0] if i] == ["b", "a"]
    assert not ids("user.liked_topics", "v", liked_topics=True).any()


def test_time_since_the_first_and_the_newest_event() -> None:
    assert numbers("since.first_s") == [2 * 86_400]
    assert numbers("since.last_s") == [86_400]
    assert numbers("since.first_s", "stranger") == [0.0]
    assert numbers("since.last_s", "stranger") == [np.inf]


def test_numbers_of_items_and_of_users_with_topics() -> None:
    np.testing.assert_array_equal(numbers("attribute.quality", side="item"), np.array([0.9, 0.1, np.nan], np.float32))
    assert numbers("user_topic.click.all", side="item") == [(1 + 2) / 2, 2.0, 0.0]
    assert numbers("user_topic.click.all", "v", side="item") == [0.0, 0.0, 1.0]
    spec = served("u", numeric_item_attributes=("quality",), numbers="static")[0]
    assert Numeric("attribute.quality", "item") in spec.numerics


def test_a_field_of_few_values_is_its_one_hot_vector_through_a_layer() -> None:
    """Any layer on a one-hot vector of n values is an embedding of width D >= n and a layer; unknown adds nothing."""
    g = np.random.default_rng(0)
    n, width, dim = 3, 5, 4
    layer, mix = g.normal(size=(n, width)), np.linalg.qr(g.normal(size=(dim, dim)))[0]
    embedding, second = np.vstack([np.zeros(dim), mix[:n]]), mix.T[:, :n] @ layer
    one_hot = np.vstack([np.zeros(n), np.eye(n)])
    np.testing.assert_allclose(embedding @ second, one_hot @ layer, atol=1e-12)
    assert not (embedding @ second)[0].any()


def test_what_is_not_there_is_said_by_name() -> None:
    with pytest.raises(NotFoundError, match="qualty"):
        served("u", numeric_item_attributes=("qualty",))
    with pytest.raises(ConfigError, match='did you mean "clicked"'):
        served("u", attention=("clickd",))
    with pytest.raises(ConfigError, match="one table"):
        served("u", attention=("clicked",), separate_items=True)
    assert served("u", attention=("clicked",), numbers="static")[0].attention == ()


def test_what_the_request_says_stands_for_the_attribute() -> None:
    _, _, state, _ = served("u")
    told = state.view("u", START_MS, {"city": "x", "planet": "mars"})
    at = state.catalogue.user_attributes.index("city")
    assert state.catalogue.values("city", "user")[told.profile[0, at]] == "x"
    assert state.view("v", START_MS, {"city": "never heard of"}).profile[0, at] == 0
    assert state.view("u", START_MS).profile[0, at] == 0, "and only for this request"
