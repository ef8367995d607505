from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.samples.scores import Scores, ScoresConfig, scores
from feedmill.state import State
from worlds import catalogue, click, people


def of(events: EventBatch, config: ScoresConfig | None = None) -> tuple[State, Scores]:
    state = State()
    state.register(events)
    return state, scores(events, state, config or ScoresConfig())


def named(state: State, found: Scores) -> dict[tuple[str, str], float]:
    pairs = zip(state.users.ids(found.user), state.items.ids(found.item), strict=True)
    return dict(zip(pairs, found.score.tolist(), strict=True))


RATING = ScoresConfig(score="rating")


def test_a_point_for_each_kind_of_feedback_among_what_was_met() -> None:
    given_by = [Kind.IMPRESSION, Kind.CLICK, Kind.LIKE, Kind.LIKE, Kind.FAVOURITE, Kind.SHARE, Kind.COMMENT]
    rows = [click(k, "u", "all", kind) for k, kind in enumerate(given_by)]
    rows += [click(10, "u", "shown", Kind.IMPRESSION), click(11, "u", "watched", Kind.WATCH, value=30.0)]
    rows += [click(12, "u", "liked", Kind.LIKE), click(13, "u", "shared", Kind.IMPRESSION)]
    rows += [click(14, "u", "shared", Kind.SHARE), click(15, "v", "shared", Kind.DISLIKE)]
    rows += [{"time_ms": 16, "kind": Kind.SEARCH, "user_id": "u", "item_id": "", "payload": "words"}]
    assert named(*of(EventBatch.rows(rows))) == {
        ("u", "all"): 4, ("u", "shown"): 0, ("u", "watched"): 0, ("u", "liked"): 1, ("u", "shared"): 1,
        ("v", "shared"): 0,
    }  # fmt: skip


def test_the_last_rating_holds_and_what_was_not_rated_is_not_observed() -> None:
    rows = [
        click(1, "u", "x", value=5.0),
        click(2, "u", "y", value=2.5),
        click(3, "u", "x", value=1.0),
        click(3, "u", "x", Kind.LIKE, value=4.0),
        click(4, "u", "z", Kind.IMPRESSION),
    ]
    assert named(*of(EventBatch.rows(rows), RATING)) == {("u", "x"): 1.0, ("u", "y"): 2.5}


def test_clicks_that_are_no_ratings_are_refused_as_ratings() -> None:
    with pytest.raises(DataError, match="2 clicks, all of value 1"):
        of(EventBatch.rows([click(1, "u", "x"), click(2, "u", "y")]), RATING)


@pytest.mark.parametrize("config", [ScoresConfig(), RATING])
def test_a_log_without_behaviour_has_no_scores(config: ScoresConfig) -> None:
    state, found = of(EventBatch.concat([catalogue(3), people(2)]), config)
    assert len(found) == 0
    assert (found.n_users, found.n_items) == (len(state.users), len(state.items)) == (3, 4)


def test_ids_that_the_state_has_not_met_are_left_out() -> None:
    state = State()
    state.register(EventBatch.rows([click(1, "u", "x")]))
    found = scores(EventBatch.rows([click(1, "u", "x"), click(2, "u", "y"), click(3, "v", "x")]), state, ScoresConfig())
    assert named(state, found) == {("u", "x"): 0.0}


Rows = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, N_COUNTED - 1)), max_size=60)


@given(Rows)
def test_points_are_the_distinct_kinds_of_each_pair_sorted_and_typed(rows: list[tuple[int, int, int]]) -> None:
    kinds = defaultdict(set)
    for user, item, kind in rows:
        kinds[f"u{user}", f"i{item}"].add(kind)
    events = EventBatch.rows([click(t, f"u{u}", f"i{i}", Kind(k)) for t, (u, i, k) in enumerate(rows)])
    state, found = of(events)
    assert named(state, found) == {pair: len(ks & {2, 3, 4, 5}) for pair, ks in kinds.items()}
    assert (found.user.dtype, found.item.dtype, found.score.dtype) == (np.int32, np.int32, np.float32)
    assert (np.diff(found.user.astype(np.int64) * found.n_items + found.item) > 0).all()
