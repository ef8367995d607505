from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.retrieval.fresh import FreshChannel, FreshConfig
from feedmill.state import State, StateConfig
from retrieval.test_followed import DAY_MS, NOW, act, ids, opened, video
from retrieval.test_keyed import described


@pytest.fixture
def state() -> State:
    """Items i0 to i199, published a day apart, the last half a day ago."""
    state = State()
    state.fold(described(*((f"i{k}", {"publish_ms": NOW - DAY_MS // 2 - (199 - k) * DAY_MS}) for k in range(200))))
    return state


def warm(state: State, *items: str, times: int = 100) -> None:
    """Shown so often that they are not cold."""
    columns = {"kind": int(Kind.IMPRESSION), "user_id": "other", "item_id": [i for i in items for _ in range(times)]}
    state.fold(EventBatch.of(columns))


def cold(state: State, channel: Any, **more: Any) -> list[str]:
    return ids(state, channel, channel.config.quota, **more)


def test_other_requests_show_other_cold_items_and_the_same_request_the_same(state: State) -> None:
    channel = opened(FreshChannel, state, quota=10)
    draws = [cold(state, channel, seed=seed) for seed in range(40)]
    assert len({tuple(draw) for draw in draws}) == 40
    assert len({item for draw in draws for item in draw}) > 150
    assert draws[7] == cold(state, opened(FreshChannel, state, quota=10), seed=7)
    assert cold(state, channel, seed=-3) == cold(state, channel, seed=-3)


def test_the_draw_is_uniform_over_the_cold_and_finds_nothing_else(state: State) -> None:
    warm(state, *(f"i{k}" for k in range(0, 200, 2)))
    channel = opened(FreshChannel, state, quota=5, max_age_days=0)
    n = 1500
    found, counts = np.unique([row for seed in range(n) for row in cold(state, channel, seed=seed)], return_counts=True)
    assert set(found) == {f"i{k}" for k in range(1, 200, 2)}
    expected = 5 * n / 100
    assert ((counts - expected) ** 2 / expected).sum() < 150  # chi-square of 99 degrees: 149 at p = 0.001


@pytest.mark.parametrize("n_cold", [0, 1, 7])
def test_few_cold_items_among_many_are_found(n_cold: int) -> None:
    state = State()
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(20_000)]}))
    warm(state, *(f"i{k}" for k in range(n_cold, 20_000)), times=2)
    channel = opened(FreshChannel, state, max_impressions=2, max_age_days=0, quota=5)
    for seed in range(3):
        assert len(cold(state, channel, seed=seed)) == min(n_cold, 5)
    state.fold(described(*((f"new{k}", {}) for k in range(9))))
    assert len(cold(state, channel, seed=1)) == 5


def test_the_draw_does_not_depend_on_what_the_channel_was_asked_before() -> None:
    state = State()
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(20_000)]}))
    warm(state, *(f"i{k}" for k in range(20, 20_000)), times=2)
    busy = opened(FreshChannel, state, max_impressions=2)
    for k in range(20):
        cold(state, busy, seed=k)
        warm(state, f"i{k % 5}", times=1)
        state.fold(described((f"i{30 + k}", {"available": k % 2 == 0}), (f"n{k}", {"publish_ms": NOW - k})))
    late = opened(FreshChannel, state, max_impressions=2)
    for seed in range(9):
        assert cold(state, busy, seed=seed) == cold(state, late, seed=seed)


def test_items_warm_up_by_impressions_or_clicks_and_are_cold_while_young(state: State) -> None:
    warm(state, *(f"i{k}" for k in range(197)))
    channel = opened(FreshChannel, state, quota=5, newest=0)
    assert set(cold(state, channel)) == {"i197", "i198", "i199"}
    warm(state, "i198", "i199")
    state.fold(EventBatch.of({"kind": int(Kind.CLICK), "user_id": "other", "item_id": ["i197"] * 10}))
    assert cold(state, channel) == ["i199"]
    assert cold(state, opened(FreshChannel, state, quota=5, newest=0, max_age_days=0)) == []
    state.fold(described(video("tomorrow", day=101), video("now", day=99), ("gone", {"deleted": True}), ("plain", {})))
    assert set(cold(state, channel)) == {"i199", "now", "plain"}


def test_what_the_user_knows_is_not_drawn(state: State) -> None:
    warm(state, *(f"i{k}" for k in range(195)))
    act(state, Kind.IMPRESSION, "i196")
    act(state, Kind.CLICK, "i197")
    channel = opened(FreshChannel, state, quota=9, newest=0)
    assert set(ids(state, channel, 3)) == {"i195", "i198", "i199"}


def test_the_newest_follow_the_draws_each_once(state: State) -> None:
    channel = opened(FreshChannel, state, quota=2, newest=5)
    answer = channel.fetch(FeedRequest(request_id="r", user_id="u", seed=3), state.view("u", NOW), 100)
    drawn = set(state.items.ids(answer.item[:2]))
    wanted = [f"i{k}" for k in (199, 198, 197, 196, 195) if f"i{k}" not in drawn]
    assert state.items.ids(answer.item[2:]) == wanted
    assert answer.found[:2, 0].tolist() == [2, 1.5]
    assert answer.found[2, 0] == pytest.approx(1 / (1.5 + 199 - int(wanted[0][1:])))


def test_a_state_without_the_counters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"impression\.all"):
        opened(FreshChannel, State(StateConfig(counts=("click.1d",))))
    assert FreshConfig().quota == 20
