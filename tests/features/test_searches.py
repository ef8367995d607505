"""What users searched for, and what else only some models read: numbers of attributes, example age, tables apart."""

from __future__ import annotations

import json

import numpy as np

from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.searches import IDS_PER_SEARCH, N_BUCKETS, search_ids
from feedmill.samples.positives import PositivesConfig, positives
from feedmill.state import Probed, State
from worlds import DAY_MS, START_MS, click


def searched(time_ms: int, user: str, text: str) -> dict[str, object]:
    return {"time_ms": time_ms, "kind": Kind.SEARCH, "user_id": user, "payload": text}


def aged(user: str, age: object) -> dict[str, object]:
    return {"time_ms": START_MS, "kind": Kind.USER, "user_id": user, "payload": json.dumps({"age": age})}


EVENTS = EventBatch.rows(
    [
        aged("a", 20), aged("b", 60), aged("c", "unknown"),
        searched(START_MS, "a", "red bicycle"), click(START_MS + 1, "a", "x"),
        searched(START_MS + 2, "b", "red bicycle"), click(START_MS + DAY_MS, "b", "y"),
        click(START_MS + 2 * DAY_MS, "a", "y"), click(START_MS + 2 * DAY_MS, "c", "x"),
    ]
)  # fmt: skip


def fitted(**parameters: object) -> tuple[FeatureSpec, dict[str, np.ndarray], State, Probed]:
    state = State()
    state.register(EVENTS)
    probed = state.fold(EVENTS, positives(EVENTS, state, PositivesConfig()).probe)
    assert probed is not None
    config = FeaturesConfig(min_count=1, **parameters)  # type: ignore[arg-type]
    spec, arrays = fit_features.fit(config, state, probed)
    return spec, arrays, state, probed


def test_the_same_words_have_the_same_ids_and_nothing_has_none() -> None:
    state = State()
    state.fold(
        EventBatch.rows([searched(1, "a", "red bicycle"), searched(2, "a", "Bicycle"), searched(3, "a", "汽车")])
    )
    rows = np.array([[1, 0], [2, 0], [3, 0], [0, 0]], np.int32)
    ids = search_ids(state, rows)
    assert ids.shape == (4, 2 * IDS_PER_SEARCH)
    bags = [set(row.tolist()) - {0} for row in ids]
    assert bags[1] <= bags[0], "case does not matter"
    assert bags[2]
    assert not bags[2] & bags[0]
    assert not bags[3]
    assert 0 <= ids.min() <= ids.max() <= N_BUCKETS


def test_a_search_is_a_field_from_the_next_moment_on() -> None:
    spec, arrays, state, probed = fitted(only=("user.searched", "item.id"), searches=2, numbers="none")
    batch = assemble(spec, arrays, state, probed)
    order = state.users.ids(probed.users.row)
    has_words = (batch.user_ids > 0).any(1).tolist()
    assert dict(zip(order, has_words, strict=True)) == {"a": True, "b": True, "c": False}
    now = Probed.of_users(state.view("b", START_MS + 3 * DAY_MS), state.count_names)
    assert (assemble(spec, arrays, state, now).user_ids > 0).any()


def test_an_attribute_is_a_number_with_its_powers() -> None:
    spec, arrays, state, probed = fitted(only=("item.id",), numbers="user", numeric_attributes=("age",))
    at = [n.source for n in spec.numeric("user")].index("attribute.age")
    ages = assemble(spec, arrays, state, probed).user_numeric[:, at]
    by_user = dict(zip(state.users.ids(probed.users.row), ages.tolist(), strict=True))
    assert by_user["a"] < by_user["b"]
    assert np.isfinite(ages).all(), "what is no number is the middle, not NaN"


def test_example_age_is_what_has_passed_since_and_none_when_served() -> None:
    spec, arrays, state, probed = fitted(only=("item.id",), numbers="none", example_age=True)
    ages = assemble(spec, arrays, state, probed).user_numeric[:, 0]
    assert np.argmax(ages) == np.argmin(probed.users.time_ms)
    newest = ages[probed.users.time_ms == probed.users.time_ms.max()]
    later = Probed.of_users(state.view("a", START_MS + 9 * DAY_MS), state.count_names)
    served = assemble(spec, arrays, state, later).user_numeric[0, 0]
    assert (served == newest).all()


def test_candidates_may_have_a_table_of_their_own_and_the_tail_none() -> None:
    spec, *_ = fitted(only=("user.clicked", "item.id"), numbers="none")
    apart, *_ = fitted(only=("user.clicked", "item.id"), numbers="none", separate_items=True)
    assert set(spec.tables) == {"item"}
    assert set(apart.tables) == {"item", "item candidate"}
    top, arrays, *_ = fitted(only=("item.id",), numbers="none", top_items=1)
    assert top.tables == {"item": 1}
    assert (arrays["slots.item"] > 0).sum() == 1
