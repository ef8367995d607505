"""A world's days: repeatable, told once, independent of the feed where it should be, and never at a loss."""

from __future__ import annotations

import hashlib
import json

import msgspec
import numpy as np
import pytest

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import Kind
from feedmill.sim.config import HabitConfig, TasteConfig, WorldConfig
from feedmill.sim.views import NOTHING, Asks, Slates
from feedmill.sim.world import World

SMALL = WorldConfig(n_users=80, n_videos=300, new_users=0.05, video_days=6)


def day(world: World, digest: hashlib._Hash, pick: str = "chance") -> None:
    """Everybody who comes is shown two slates, of chance or of the oracle."""
    sessions = world.begin_day()
    digest.update(sessions.user.tobytes() + sessions.time_ms.tobytes())
    digest.update(b"".join(p.encode() for p in world.describe().table.column("payload").to_pylist()))
    user, first = np.unique(sessions.user, return_index=True)
    for page in range(2):
        asks = Asks(user, sessions.time_ms[first] + page * 600_000, np.full(len(user), page, np.int32))
        random = np.random.default_rng([world.day, page])
        on = np.flatnonzero(world.videos.is_on)
        drawn = random.choice(on, (len(user), 6)).astype(np.int32)
        slates = Slates(world.oracle_slates(asks, 6) if pick == "oracle" else drawn)
        response = world.respond(asks, slates)
        for column in (response.views.seconds, response.views.item, response.expected, response.next_ms):
            digest.update(np.ascontiguousarray(column).tobytes())
    world.end_day()


def lived(seed: int, pick: str = "chance", config: WorldConfig = SMALL, n_days: int = 4) -> tuple[World, str]:
    world, digest = World.make(config, seed), hashlib.sha256()
    for _ in range(n_days):
        day(world, digest, pick)
    return world, digest.hexdigest()


@pytest.mark.parametrize("pick", ["chance", "oracle"])
def test_the_same_seed_gives_the_same_bytes(pick: str) -> None:
    assert lived(7, pick)[1] == lived(7, pick)[1] != lived(8, pick)[1]


def test_who_and_what_arrives_and_how_tastes_drift_does_not_depend_on_the_feed() -> None:
    (one, _), (other, _) = lived(7, "chance"), lived(7, "oracle")
    assert one.users.ids == other.users.ids
    assert one.videos.ids == other.videos.ids
    assert len(one.users) > 80
    assert len(one.videos) > 300
    np.testing.assert_array_equal(one.users.vector, other.users.vector)
    np.testing.assert_array_equal(one.videos.vector, other.videos.vector)
    np.testing.assert_array_equal(one.videos.is_on, other.videos.is_on)


def test_everybody_and_everything_is_told_once_in_order_of_rows() -> None:
    world, told = World.make(SMALL, 3), {Kind.ITEM: [], Kind.USER: [], "gone": []}
    for _ in range(10):
        world.begin_day()
        events = world.describe()
        for kind, user, item, payload in zip(
            events.numpy("kind").tolist(),
            *(events.table.column(c).to_pylist() for c in ("user_id", "item_id", "payload")),
            strict=True,
        ):
            is_gone = json.loads(payload).get("deleted")
            told["gone" if is_gone else Kind(kind)].append(user or item)
        assert len(world.describe()) == 0
        world.end_day()
    assert told[Kind.ITEM] == world.videos.ids
    assert told[Kind.USER] == world.users.ids
    gone = np.flatnonzero(~world.videos.is_on)
    assert len(gone) > 200
    assert sorted(told["gone"]) == sorted(world.videos.ids[i] for i in gone)


def test_as_many_videos_come_as_go() -> None:
    world = World.make(SMALL, 3)
    for _ in range(15):
        world.begin_day()
        world.end_day()
    assert world.videos.is_on.sum() == pytest.approx(300, rel=0.25)
    assert not world.videos.is_on[:300].any()


def test_a_world_in_which_nothing_comes_or_goes() -> None:
    world, _ = lived(3, config=msgspec.structs.replace(SMALL, new_users=0, video_days=0))
    assert len(world.users) == 80
    assert len(world.videos) == 300
    assert world.videos.is_on.all()


def test_affinity_of_random_pairs_has_mean_0_and_sd_1() -> None:
    world = World.make(WorldConfig(n_users=3000, n_videos=8000), 2)
    random = np.random.default_rng(0)
    user, item = (random.integers(0, n, 200_000).astype(np.int32) for n in (3000, 8000))
    affinity = world.affinity(user, item, np.full(200_000, world.now_ms))
    assert affinity.mean() == pytest.approx(0, abs=0.06)
    assert affinity.std() == pytest.approx(1, abs=0.06)


def test_affinity_by_hand() -> None:
    world, taste = World.make(SMALL, 3), SMALL.taste
    u, v, now = world.users, world.videos, world.now_ms
    for user, item in ((0, 0), (3, 299), (79, 50)):
        age = now - v.born_ms[item]
        expected = (
            u.vector[user] @ v.vector[item]
            + v.quality[item]
            + taste.fresh * 0.5 ** (age / v.fresh_ms[item])
            - taste.other_language * (u.language[user] != v.language[item])
            + taste.same_city * (u.city[user] == v.city[item])
        )
        rows = np.array([user], np.int32), np.array([item], np.int32), np.array([now])
        assert world.affinity(*rows)[0] == pytest.approx(expected, abs=1e-5)


def test_a_good_feed_is_watched_longer_and_keeps_people() -> None:
    config = WorldConfig(n_users=800, n_videos=2000, video_days=0)
    bad, good = lived(5, "chance", config, 4)[0], lived(5, "oracle", config, 4)[0]
    assert good.memory.satisfaction.mean() > bad.memory.satisfaction.mean() + 0.4
    assert good.users.is_here.sum() > bad.users.is_here.sum()
    assert len(good.begin_day()) > len(bad.begin_day())


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(n_users=1, n_videos=1),
        WorldConfig(n_users=1, n_videos=1, n_topics=0, taste=TasteConfig(n_latent=0)),
        WorldConfig(n_users=5, n_videos=7, n_topics=0),
        WorldConfig(n_users=5, n_videos=7, n_topics=1, n_cities=1),
        WorldConfig(n_users=5, n_videos=7, duration_log_sd=0, video_days=0.5),
        WorldConfig(n_users=5, n_videos=7, taste=TasteConfig(topic_sd=0, latent_sd=0, quality_sd=0)),
        WorldConfig(n_users=5, n_videos=7, habit=HabitConfig(come=(0, 0, 0, 0, 0))),
        WorldConfig(n_users=5, n_videos=7, habit=HabitConfig(leave=1, leave_liking=0)),
        WorldConfig(n_users=5, n_videos=7, views_per_day=0.01),
        WorldConfig(n_users=5, n_videos=7, english=1.0, n_cities=30),
    ],
)
def test_odd_worlds_live(config: WorldConfig) -> None:
    world = World.make(config, 1)
    for k in range(3):
        world.begin_day()
        asks = Asks(np.zeros(1, np.int32), np.array([world.now_ms]), np.zeros(1, np.int32))
        response = world.respond(asks, Slates(world.oracle_slates(asks, 3)))
        assert np.isfinite(response.expected).all()
        assert (response.expected > 0).all()
        world.end_day()
        if k == 0 and config.habit.leave == 1:
            assert not world.users.is_here[:5].any()


def test_an_audience_that_never_returns_has_no_sessions() -> None:
    world = World.make(WorldConfig(n_users=50, n_videos=20, habit=HabitConfig(come=(0, 0, 0, 0, 0))), 1)
    for _ in range(3):
        assert len(world.begin_day()) == 0
        world.end_day()


def test_slates_that_cannot_be_are_refused_in_words() -> None:
    world = World.make(WorldConfig(n_users=2, n_videos=3), 1)
    asks = Asks(np.arange(2, dtype=np.int32), np.full(2, world.now_ms), np.zeros(2, np.int32))
    with pytest.raises(DataError, match="video row 3"):
        world.respond(asks, Slates(np.array([[0], [3]], np.int32)))
    with pytest.raises(DataError, match="one for each ask"):
        world.respond(asks, Slates(np.array([[0]], np.int32)))
    assert len(world.respond(asks, Slates(np.full((2, 4), NOTHING, np.int32))).views) == 0


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"n_users": 0}, "n_users = 0"),
        ({"n_topics": 111}, "n_topics = 111"),
        ({"views_per_day": 0}, "views_per_day = 0"),
        ({"n_user": 5}, 'did you mean "n_users"'),
        ({"taste": {"fresh_half_life_days": 0}}, "taste.fresh_half_life_days = 0"),
        ({"habit": {"come": [0.5, 2, 0.1, 0.1, 0.1]}}, "come"),
    ],
)
def test_mistakes_in_a_config_are_told_in_words(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as told:
        convert(raw, WorldConfig, "world")
    assert words in str(told.value)


def test_a_config_made_in_code_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="n_videos = 0"):
        World.make(WorldConfig(n_videos=0), 1)
