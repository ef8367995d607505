from __future__ import annotations

import json

import numpy as np
import pytest

from contracts.channel import REQUEST, interactions
from feedmill.core.errors import NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.segment import SegmentChannel, SegmentConfig
from feedmill.state import State

USERS = [("de", "f"), ("de", "f"), ("de", "m"), ("de", "m"), ("fr", "m"), ("fr", ""), ("", "f")]
LIKES = [(1, 1), (2, 1), (2, 2), (3, 3), (4, 3), (4, 2), (5, 4), (6, 4), (6, 5), (7, 6)]


@pytest.fixture
def state() -> State:
    """Users u1 to u7 of two countries and two genders, u6 without gender, u7 without country."""
    state = State()
    about = [{k: v for k, v in zip(("country", "gender"), of, strict=True) if v} for of in USERS]
    users = [f"u{k}" for k in range(1, 8)]
    state.fold(EventBatch.of({"kind": int(Kind.USER), "user_id": users, "payload": [json.dumps(a) for a in about]}))
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(1, 8)], "payload": "{}"}))
    return state


def channel(state: State, **parameters: object) -> SegmentChannel:
    config = SegmentConfig(**{"by": ("country", "gender"), "min_users": 1, "half_life_days": 0.0, **parameters})  # type: ignore[arg-type]
    part = SegmentChannel.build(interactions(LIKES, 8, 8), state, config, seed=0)
    return SegmentChannel("segment", config, part, state)


def ask(state: State, asked: SegmentChannel, user: str, limit: int = 9) -> dict[int, float]:
    answer = asked.fetch(REQUEST, state.view(user, 0), limit)
    return dict(zip(answer.item.tolist(), answer.found[:, 0].tolist(), strict=True))


def test_shares_are_smoothed_by_the_wider_segment(state: State) -> None:
    """By hand: women in Germany made 3 of 10 interactions: items 1, 1, 2; Germany 6: 1, 1, 2, 2, 3, 3."""
    prior = 2.0
    everybody = np.array([0, 2, 2, 2, 2, 1, 1, 0]) / 10
    germany = (np.array([0, 2, 2, 2, 0, 0, 0, 0]) + prior * everybody) / (6 + prior)
    women = (np.array([0, 2, 1, 0, 0, 0, 0, 0]) + prior * germany) / (3 + prior)
    got = ask(state, channel(state, prior=prior), "u1")
    assert got == pytest.approx({row: share for row, share in enumerate(women) if share > 0})
    assert list(got) == sorted(got, key=lambda row: (-np.float32(women[row]), row))
    assert ask(state, channel(state, prior=prior), "stranger") == pytest.approx(
        {row: share for row, share in enumerate(everybody) if share > 0}
    )


def test_who_is_not_fully_known_gets_the_widest_that_is(state: State) -> None:
    asked = channel(state)
    codes = {tuple(c) for c in channel(state)._row}
    assert codes == {(0, 0), (1, 0), (2, 0), (1, 1), (1, 2), (2, 2)}
    assert asked._segment(np.array([2, 0], np.int32)) == asked._row[(2, 0)]
    assert asked._segment(np.array([0, 1], np.int32)) == 0  # u7: of a gender, of no country
    assert asked._segment(np.array([9, 9], np.int32)) == 0
    assert asked._segment(np.array([1], np.int32)) == asked._row[(1, 0)]


def test_segments_with_too_few_users_are_part_of_the_wider(state: State) -> None:
    asked = channel(state, min_users=2)
    assert set(asked._row) == {(0, 0), (1, 0), (2, 0), (1, 1), (1, 2)}
    assert set(channel(state, max_segments=2)._row) == {(0, 0), (1, 0), (2, 0)}


def test_short_lists_are_filled_up_from_everybodys(state: State) -> None:
    short, full = ask(state, channel(state, top_k=4), "u5"), ask(state, channel(state), "u5")
    assert list(short)[:4] == list(full)[:4]
    assert set(short) == set(ask(state, channel(state, top_k=4), "stranger")) | set(list(full)[:4])


def test_an_attribute_that_no_user_has_is_named(state: State) -> None:
    with pytest.raises(NotFoundError, match="contry"):
        channel(state, by=("contry",))
