"""The oracle against brute force: all videos asked about one by one, slot by slot."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.sim.config import HabitConfig, TasteConfig, WatchConfig, WorldConfig
from feedmill.sim.oracle_kernel import Oracle, _best, make_table
from feedmill.sim.views import Asks, Slates
from feedmill.sim.watch import mean_s, means_s
from feedmill.sim.world import World

PATIENT = WorldConfig(n_users=12, n_videos=220, n_topics=6, habit=HabitConfig(views=1e9))


def asks_of(world: World, page: int = 0, after_ms: int = 0, n: int = 12) -> Asks:
    user = np.arange(n, dtype=np.int32)
    return Asks(user, np.full(n, world.now_ms + after_ms), np.full(n, page, np.int32))


def lived(config: WorldConfig, seed: int = 4) -> World:
    """A world in which people have already seen something, and follow some."""
    world = World.make(config, seed)
    world.begin_day()
    random = np.random.default_rng(0)
    n = config.n_users
    for page in range(3):
        item = np.stack([random.permutation(config.n_videos)[:5] for _ in range(n)]).astype(np.int32)
        world.respond(asks_of(world, page, n=n), Slates(item))
    world.memory.followed[:, 0] = world.videos.author[random.integers(0, config.n_videos, n)]
    return world


def greedy(world: World, after_ms: int, k: int) -> np.ndarray:
    """Slot by slot: the truth about each video, the best is watched, and so on."""
    slates, n = [], len(world.users)
    on = np.flatnonzero(world.videos.is_on).astype(np.int32)
    for slot in range(k):
        asks = asks_of(world, 0 if slot == 0 else 1, after_ms, n)
        if slot == 0:
            world.memory.in_session[:] = 0
        truth = world.expected_s(np.repeat(asks.user, len(on)), np.tile(on, n), np.repeat(asks.time_ms, len(on)))
        truth = truth.reshape(n, len(on))
        for before in slates:
            truth[np.arange(n), np.searchsorted(on, before)] = -1
        slates.append(on[truth.argmax(axis=1)])
        world.respond(asks, Slates(slates[-1][:, None]))
    return np.stack(slates, axis=1)


@pytest.mark.parametrize("after_ms", [0, 3_600_000])
def test_slates_are_those_of_brute_force(after_ms: int) -> None:
    mine, theirs = lived(PATIENT), lived(PATIENT)
    slates = mine.oracle_slates(asks_of(mine, 0, after_ms), 6)
    brute = greedy(theirs, after_ms, 6)
    assert (np.sort(slates) == np.sort(brute)).mean() > 0.97  # two videos may be equal within the table's error
    assert (slates[:, 0] == brute[:, 0]).all()


def test_expected_of_all_is_the_truth_of_each() -> None:
    world = lived(PATIENT)
    asks = asks_of(world, 1, 600_000)
    on = np.flatnonzero(world.videos.is_on).astype(np.int32)
    truth = world.expected_s(np.repeat(asks.user, len(on)), np.tile(on, 12), np.repeat(asks.time_ms, len(on)))
    np.testing.assert_allclose(world.expected_all(asks), truth.reshape(12, len(on)), rtol=0.005)


def test_the_table_is_within_half_a_percent() -> None:
    w = WatchConfig()
    curve = np.array([w.skip, w.full, w.part, w.again, (w.again_times, w.skip_s, w.skip_power, w.longest_s)])
    table, random = make_table(curve, 5, 200), np.random.default_rng(0)
    affinity = random.uniform(-7, 7, 2000).astype(np.float32)
    duration_s = np.exp(random.uniform(np.log(5), np.log(200), 2000)).astype(np.float32)
    place, level = (np.log(duration_s) - table.low) / table.step, (affinity + 8) * 16
    k, j = place.astype(int).clip(0, 126), level.astype(int)
    f, g = place - k, level - j
    s = table.seconds
    read = (1 - f) * ((1 - g) * s[k, j] + g * s[k, j + 1]) + f * ((1 - g) * s[k + 1, j] + g * s[k + 1, j + 1])
    np.testing.assert_allclose(read, means_s(curve, affinity, duration_s), rtol=0.005)
    assert mean_s(curve, 0.0, 30.0) > 0


def test_it_shows_nothing_twice_nothing_seen_and_nothing_gone() -> None:
    world = lived(PATIENT)
    world.videos.is_on[::3] = False
    slates = world.oracle_slates(asks_of(world), 10)
    assert all(len(set(row)) == 10 for row in slates.tolist())
    assert (slates % 3 > 0).all()
    world.respond(asks_of(world), Slates(slates))
    assert not np.isin(world.oracle_slates(asks_of(world, 1), 10), slates).all()
    again = world.oracle_slates(asks_of(world, 1), 10)
    assert (again[:, :, None] == slates[:, None, :]).any(axis=2).mean() < 0.05


def test_how_asks_are_cut_into_calls_changes_nothing() -> None:
    world = lived(PATIENT)
    asks = asks_of(world)
    whole = world.oracle_slates(asks, 5)
    parts = [world.oracle_slates(asks.take(np.arange(k, k + 1)), 5) for k in range(12)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_the_best_of_many_are_found() -> None:
    random = np.random.default_rng(3)
    seconds = random.lognormal(3, 1, 5000).astype(np.float32)
    best = _best(seconds, 256)
    assert set(np.argsort(-seconds)[:256].tolist()) <= set(best.tolist())
    assert len(best) < 5000
    assert _best(seconds[:10], 256).tolist() == list(range(10))
    assert len(_best(np.ones(1000, np.float32), 256)) >= 256


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(n_users=1, n_videos=1),
        WorldConfig(n_users=2, n_videos=3, n_topics=0),
        WorldConfig(n_users=2, n_videos=3, n_topics=0, taste=TasteConfig(n_latent=0)),
    ],
)
def test_small_worlds(config: WorldConfig) -> None:
    world = World.make(config, 1)
    world.begin_day()
    slates = world.oracle_slates(asks_of(world, n=1), 4)
    n = config.n_videos
    assert sorted(slates[0, :n].tolist()) == list(range(n))
    assert (slates[0, n:] == -1).all()


def test_where_nothing_is_on_there_is_nothing() -> None:
    world = lived(PATIENT)
    world.videos.is_on[:] = False
    oracle = Oracle(world._truth)
    asks = asks_of(world)
    assert (oracle.slates(world.memory, asks.user, asks.time_ms, asks.page, 3) == -1).all()
    assert oracle.expected(world.memory, asks.user, asks.time_ms, asks.page).shape == (12, 0)
    assert world.oracle_slates(asks.take(np.zeros(0, np.int64)), 3).shape == (0, 3)
