"""The best slate of given videos, against the oracle's and against all orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from audiences import small_world
from feedmill.sim.feeds.oracle import OracleFeed
from feedmill.sim.live import live
from feedmill.sim.reach import best_slate
from feedmill.sim.regret import slate_seconds
from feedmill.sim.views import Asks
from feedmill.sim.world import World

K = 4


@pytest.fixture(scope="module")
def world() -> World:
    """On the morning of the third day: people have seen things, and are tired of some."""
    made = small_world(n_users=30, n_videos=50)
    live(made, OracleFeed(made, K), 2, slate=K)
    made.begin_day()
    return made


def on(world: World) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.flatnonzero(world.videos.is_on).astype(np.int32)


def asked(world: World, page: int) -> Asks:
    n = len(world.users)
    at_ms = np.full(n, world.now_ms + 3_600_000, np.int64)
    return Asks(np.arange(n, dtype=np.int32), at_ms, np.full(n, page, np.int32))


def worth_s(world: World, user: int, time_ms: int, page: int, slate: list[int]) -> float:
    one = Asks(np.array([user], np.int32), np.array([time_ms]), np.array([page], np.int32))
    return float(slate_seconds(world, one, np.array([slate], np.int32))[0][0])


@pytest.mark.parametrize("page", [0, 2])
def test_of_the_whole_catalogue_it_is_the_oracles_slate(world: World, page: int) -> None:
    asks = asked(world, page)
    oracle, worth = world.oracle_slates(asks, K), []
    for row in range(len(asks)):
        who = row, int(asks.time_ms[row]), page
        mine = best_slate(world.truth, world.memory, *who, on(world), K)
        worth.append([worth_s(world, *who, slate.tolist()) for slate in (mine, oracle[row])])
    here, there = np.array(worth).T
    assert here.sum() == pytest.approx(there.sum(), rel=5e-3)
    assert np.isclose(here, there, rtol=5e-3).mean() > 0.8, "the oracle reads a table: a near tie may fall otherwise"


def test_the_first_slot_is_worth_what_the_world_expects(world: World) -> None:
    items = on(world)[:10]
    asks = asked(world, 1)
    for user in (0, 7, 29):
        who = user, int(asks.time_ms[0]), 1
        alone = [worth_s(world, *who, [item]) for item in items.tolist()]
        pairs = np.full(len(items), user, np.int32), items, np.full(len(items), asks.time_ms[0])
        assert alone == pytest.approx(world.expected_s(*pairs).tolist(), rel=1e-5)
        best = best_slate(world.truth, world.memory, *who, items, 1)
        assert best.tolist() == [items[int(np.argmax(alone))]]


def test_no_order_of_the_same_videos_begins_better(world: World) -> None:
    who = 3, world.now_ms + 3_600_000, 0
    items = on(world)[:5]
    chosen = best_slate(world.truth, world.memory, *who, items, 2)
    best = [worth_s(world, *who, chosen[:n].tolist()) for n in (1, 2)]
    for first, second in permutations(items.tolist(), 2):
        assert worth_s(world, *who, [first]) <= best[0]
        assert first != chosen[0] or worth_s(world, *who, [first, second]) <= best[1]


def test_what_is_not_there_is_passed_over(world: World) -> None:
    who = 0, world.now_ms, 0
    gone = np.flatnonzero(~world.videos.is_on).astype(np.int32)[:2]
    some = on(world)[:1]
    assert len(gone)
    assert len(best_slate(world.truth, world.memory, *who, gone, K)) == 0
    assert worth_s(world, *who, [-1, *gone, *some]) == worth_s(world, *who, [*some]) > 0
    assert len(best_slate(world.truth, world.memory, *who, np.zeros(0, np.int32), K)) == 0
