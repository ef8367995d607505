"""What slates are worth at the moment: against the world's own expectations, and without leaving a trace."""

from __future__ import annotations

import numpy as np
import pytest

from audiences import small_world
from feedmill.core.errors import ConfigError
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.feeds.oracle import OracleFeed
from feedmill.sim.live import live
from feedmill.sim.regret import Regret, Sample, chosen, share_now, share_now_by_day, slate_seconds
from feedmill.sim.views import NOTHING, Asks, Slates
from feedmill.sim.watch import REFERENCE
from feedmill.sim.world import World


def lived_in(n_days: int = 2) -> World:
    world = small_world()
    live(world, ChanceFeed(ChanceConfig(), 1), n_days)
    world.begin_day()
    return world


def everybody(world: World, page: int = 0) -> Asks:
    n = len(world.users)
    return Asks(np.arange(n, dtype=np.int32), np.full(n, world.now_ms + 5000, np.int64), np.full(n, page, np.int32))


def some_slates(world: World, asks: Asks) -> np.ndarray:  # type: ignore[type-arg]
    feed = ChanceFeed(ChanceConfig(slots=6), 9)
    feed.describe(small_world().describe())
    on = np.flatnonzero(world.videos.is_on)
    item = on[feed.slates(asks).item % len(on)].astype(np.int32)
    item[:, 3] = NOTHING
    return item


def test_one_slot_is_the_worlds_expectation() -> None:
    world = lived_in()
    asks = everybody(world, page=1)
    item = some_slates(world, asks)[:, :1]
    whole, stayed = slate_seconds(world, asks, item)
    np.testing.assert_allclose(whole, world.expected_s(asks.user, item[:, 0], asks.time_ms), rtol=1e-5)
    np.testing.assert_array_equal(whole, stayed)


@pytest.mark.parametrize("page", [0, 1])
def test_it_walks_as_people_do(page: int) -> None:
    """The second view that people come to is expected as it is here; only the clock between may differ a little."""
    world = lived_in()
    asks = everybody(world, page)
    item = some_slates(world, asks)
    first, _ = slate_seconds(world, asks, item[:, :1])
    both, _ = slate_seconds(world, asks, item[:, :2])
    response = world.respond(asks, Slates(item[:, :2]))
    for slot, ours in ((0, first), (1, both - first)):
        at = response.views.position == slot
        assert at.sum() > 5
        np.testing.assert_allclose(response.expected[at], ours[response.views.ask[at]], rtol=5e-3)


def test_leaving_weighs_what_comes_after() -> None:
    """Two slots by the formula of the world: stays with 1 - exp(-liking liked) / stay."""
    world = lived_in()
    asks = everybody(world, page=1)
    item = some_slates(world, asks)[:, :2]
    one, _ = slate_seconds(world, asks, item[:, :1])
    both, stayed = slate_seconds(world, asks, item)
    assert (stayed <= both).all()
    truth = world.truth
    stays = (stayed - one) / (both - one)
    tired = np.array([world._affinity(asks.user, item[:, 0], asks.time_ms, True)])[0]
    liked = np.clip(tired - REFERENCE, -2, 2)
    left = np.minimum(1, np.exp(-world.config.habit.liking * liked) / truth.stay)
    np.testing.assert_allclose(stays, 1 - left, atol=2e-3)


def test_nothing_is_remembered_of_it() -> None:
    world = lived_in()
    asks = everybody(world)
    before = [column.copy() for column in world.memory]
    slate_seconds(world, asks, np.tile(np.arange(60, dtype=np.int32)[:10], (len(asks), 1)))
    slate_seconds(world, asks, some_slates(world, asks))
    for name, old, new in zip(world.memory._fields, before, world.memory, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=name)


def test_empty_slates_are_worth_nothing() -> None:
    world = lived_in()
    asks = everybody(world)
    for item in (np.full((len(asks), 3), NOTHING, np.int32), np.zeros((len(asks), 0), np.int32)):
        assert [x.sum() for x in slate_seconds(world, asks, item)] == [0, 0]


def test_looking_changes_nothing_and_the_oracle_has_no_regret() -> None:
    world, other = small_world(), small_world()
    regret = Regret(world, 1, sampled=1.0)
    assert live(world, OracleFeed(world), 2, looks=[regret]).digest() == live(other, OracleFeed(other), 2).digest()
    sample = regret.sample()
    assert len(sample) > 50
    assert share_now(sample, 1).mean == 1
    assert share_now(sample, 1, leaving=True).mean == 1


def test_chance_is_worse_than_the_oracle_on_all_days() -> None:
    world = small_world()
    regret = Regret(world, 1, sampled=0.5)
    diary = live(world, ChanceFeed(ChanceConfig(), 1), 3, looks=[regret])
    sample = regret.sample()
    assert 0 < len(sample) < diary.people.pages.sum()
    days = share_now_by_day(sample, 1, 3)
    assert all(0.1 < day.high < 1 for day in days)
    assert share_now(sample, 1, 1, 1) == days[1]


def test_the_sample_hangs_on_the_time_alone() -> None:
    time_ms = np.arange(0, 86_400_000, 10_000, dtype=np.int64)
    mask = chosen(7, time_ms, 0.25)
    assert 0.15 < mask.mean() < 0.35
    np.testing.assert_array_equal(mask[::-1], chosen(7, time_ms[::-1].copy(), 0.25))
    assert (mask.reshape(-1, 30).all(axis=1) | ~mask.reshape(-1, 30).any(axis=1)).all(), "whole stretches"
    assert chosen(7, time_ms, 1.0).all()


def test_by_hand() -> None:
    """Two asks of person 0, one of person 1."""
    i, f = np.zeros(3, np.int32), np.zeros((3, 1), np.int32)
    seconds = [np.array(x, np.float32) for x in ([10, 20, 5], [20, 30, 20], [5, 5, 5], [20, 20, 10])]
    sample = Sample(i, np.array([0, 0, 1], np.int32), f, f, *seconds)
    assert share_now(sample, 1).mean == pytest.approx(35 / 70)
    assert share_now(sample, 1, leaving=True).mean == pytest.approx(15 / 50)
    assert share_now(sample, 1).n == 2


def test_shares_of_nothing() -> None:
    with pytest.raises(ConfigError, match="sample of 0"):
        Regret(small_world(), 1, sampled=0)
    nothing = Regret(small_world(), 1).sample()
    assert len(nothing) == 0
    assert np.isnan(share_now(nothing, 1).mean)
