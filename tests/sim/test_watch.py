"""What people do with a slate: expectations against draws, chance that belongs to each person, what tires."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.events import Kind
from feedmill.sim.config import HabitConfig, ReactConfig, WatchConfig, WorldConfig
from feedmill.sim.views import NOTHING, Asks, Slates
from feedmill.sim.watch import chance, draws_s, mean_s, means_s
from feedmill.sim.world import Response, World

SMALL = WorldConfig(n_users=60, n_videos=300)
PATIENT = WorldConfig(n_users=40, n_videos=200, habit=HabitConfig(views=1e9))
W = WatchConfig()
CURVE = np.array([W.skip, W.full, W.part, W.again, (W.again_times, W.skip_s, W.skip_power, W.longest_s)])


def asks_of(world: World, user: list[int] | np.ndarray, page: int = 0, after_ms: int = 0) -> Asks:
    rows = np.asarray(user, np.int32)
    return Asks(rows, np.full(len(rows), world.now_ms + after_ms), np.full(len(rows), page, np.int32))


def opened(config: WorldConfig = SMALL, seed: int = 5) -> World:
    world = World.make(config, seed)
    world.begin_day()
    return world


def bytes_of(response: Response) -> bytes:
    v = response.views
    columns = (v.ask, v.user, v.item, v.position, v.time_ms, v.seconds, v.reactions)
    more = (response.expected, response.goes_on, response.next_ms)
    return b"".join(np.ascontiguousarray(c).tobytes() for c in (*columns, *more))


@pytest.mark.parametrize("affinity", [-3.0, -1.0, 0.0, 1.0, 2.5, 5.0])
def test_the_mean_of_what_is_watched_is_what_was_expected(affinity: float) -> None:
    n = 200_000
    for duration_s in (5.0, 9.0, 22.7, 60.0, 150.0, 800.0):
        drawn = draws_s(CURVE, np.full(n, affinity, np.float32), np.full(n, duration_s, np.float32), 11)
        assert abs(drawn.mean() - mean_s(CURVE, affinity, duration_s)) < 4 * drawn.std() / np.sqrt(n)
        assert drawn.min() >= 0


def test_expected_seconds_by_hand() -> None:
    curve = np.zeros((5, 4))  # a third each leaves at once, watches a part (uniform) and all; half of these go on
    curve[4] = 2.0, 3.0, 1.0, 200.0
    assert mean_s(curve, 0.7, 23.0) == pytest.approx((1.5 + (3 + 20 / 2) + 23 * (1 + 0.5 * 2)) / 3)
    assert mean_s(curve, 0.7, 900.0) == mean_s(curve, 0.7, 200.0)  # nothing is known of longer ones


@given(st.floats(-6, 6), st.floats(0.01, 3), st.floats(5, 900))
def test_who_likes_it_more_is_expected_to_watch_longer(affinity: float, more: float, duration_s: float) -> None:
    assert mean_s(CURVE, affinity + more, duration_s) > mean_s(CURVE, affinity, duration_s)


def test_chance_is_even_and_depends_on_everything_it_is_given() -> None:
    drawn = np.array([chance(s, u, c, k) for s in range(5) for u in range(20) for c in range(20) for k in range(5)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert len(np.unique(drawn)) == len(drawn)
    assert np.abs(np.sort(drawn) - (np.arange(len(drawn)) + 0.5) / len(drawn)).max() < 1.63 / np.sqrt(len(drawn))  # K-S


def test_in_one_call_or_in_many_people_do_the_same() -> None:
    random, pages = np.random.default_rng(0), 6
    at_once, in_turn = opened(), opened()
    for page in range(pages):
        everybody = np.arange(60)
        item = np.stack([random.permutation(300)[:8] for _ in everybody]).astype(np.int32)
        whole = at_once.respond(asks_of(at_once, everybody, page), Slates(item))
        order = random.permutation(60)
        for some in np.array_split(order, 7):
            one = in_turn.respond(asks_of(in_turn, some, page), Slates(item[some]))
            for k, u in enumerate(some):
                mine, theirs = whole.views.user == u, one.views.ask == k
                np.testing.assert_array_equal(whole.views.seconds[mine], one.views.seconds[theirs])
                np.testing.assert_array_equal(whole.views.reactions[mine], one.views.reactions[theirs])
                assert whole.goes_on[u] == one.goes_on[k]
    for mine, theirs in zip(at_once.memory, in_turn.memory, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_others_are_shown_changes_nothing() -> None:
    a, b = opened(), opened()
    item = np.tile(np.arange(8, dtype=np.int32), (60, 1))
    other = item.copy()
    other[1:] += 100
    one, two = a.respond(asks_of(a, np.arange(60)), Slates(item)), b.respond(asks_of(b, np.arange(60)), Slates(other))
    np.testing.assert_array_equal(one.views.seconds[one.views.user == 0], two.views.seconds[two.views.user == 0])


def test_the_expectation_in_a_response_is_the_truth_of_that_moment() -> None:
    world, random = opened(PATIENT), np.random.default_rng(1)
    for page in range(8):
        users = np.arange(40, dtype=np.int32)
        item = random.integers(0, 200, (40, 1)).astype(np.int32)
        asks = asks_of(world, users, page, page * 60_000)
        if page == 0:
            assert world.memory.in_session.max() == 0
        truth = world.expected_s(users, item[:, 0], asks.time_ms)
        response = world.respond(asks, Slates(item))
        np.testing.assert_allclose(response.expected, truth, rtol=1e-6)


def test_people_watch_what_was_expected_of_them_on_average() -> None:
    world, random = opened(WorldConfig(n_users=2000, n_videos=3000)), np.random.default_rng(2)
    item = random.integers(0, 3000, (2000, 30)).astype(np.int32)
    response = world.respond(asks_of(world, np.arange(2000)), Slates(item))
    off = response.views.seconds - response.expected
    assert len(off) > 10_000
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_a_view_takes_its_time_and_slots_follow_each_other() -> None:
    world = opened(PATIENT)
    item = np.arange(10, dtype=np.int32)[None]
    response = world.respond(asks_of(world, [3]), Slates(item))
    v = response.views
    assert v.position.tolist() == list(range(10))
    assert v.item.tolist() == list(range(10))
    assert response.goes_on[0]
    assert v.time_ms[0] == world.now_ms
    gaps = np.diff(np.append(v.time_ms, response.next_ms[0]))
    np.testing.assert_allclose(gaps, 1000 + 1000 * v.seconds, atol=1.1)


def test_empty_slots_and_videos_that_are_gone_are_passed_over() -> None:
    world = opened(PATIENT)
    world.videos.is_on[7] = False
    response = world.respond(asks_of(world, [0]), Slates(np.array([[NOTHING, 7, 4, NOTHING]], np.int32)))
    assert response.views.item.tolist() == [4]
    assert response.views.position.tolist() == [2]


def test_who_is_shown_nothing_leaves_and_is_not_pleased() -> None:
    world = opened(PATIENT)
    response = world.respond(asks_of(world, [0, 1]), Slates(np.array([[NOTHING, NOTHING], [1, 2]], np.int32)))
    assert response.goes_on.tolist() == [False, True]
    assert set(response.views.user.tolist()) == {1}
    assert world.memory.pleasure[0] < 0
    assert response.next_ms[0] == world.now_ms


def test_slates_without_slots_are_answered() -> None:
    world = opened()
    response = world.respond(asks_of(world, [0, 1]), Slates(np.zeros((2, 0), np.int32)))
    assert len(response.views) == 0
    assert not response.goes_on.any()


def test_seen_before_is_worth_little() -> None:
    world, user = opened(PATIENT), np.arange(40, dtype=np.int32)
    one, now = np.zeros(40, np.int32), np.full(40, world.now_ms + 86_400_000)
    fresh = world.expected_s(user, one, now)
    world.respond(asks_of(world, user), Slates(one[:, None]))
    again = world.expected_s(user, one, now)  # a day later, so that topics and authors are forgotten
    assert (again < fresh).all()
    assert again.sum() < 0.5 * fresh.sum()


def test_the_same_topic_over_and_over_tires_and_rest_helps() -> None:
    world = opened(PATIENT)
    topic = world.videos.topics[0, 0]
    same = np.flatnonzero(world.videos.topics[:, 0] == topic).astype(np.int32)
    other = np.flatnonzero(~(world.videos.topics == topic).any(axis=1)).astype(np.int32)[:3]
    assert len(same) > 5
    user, now, later = np.zeros(1, np.int32), np.array([world.now_ms]), np.array([world.now_ms + 43_200_000])
    before = world._affinity(user, same[-1:], now, True)
    world.respond(asks_of(world, [0]), Slates(same[None, :5]))
    bored = world._affinity(user, same[-1:], now, True)
    rested = world._affinity(user, same[-1:], later, True)
    assert bored < rested < before + 0.01
    world.respond(asks_of(world, [0], 1), Slates(other[None]))
    assert bored < world._affinity(user, same[-1:], now, True) + 0.2  # something else in between
    assert world.affinity(user, same[-1:], now)[0] == pytest.approx(before[0], abs=1e-5)  # affinity itself stays


def test_who_follows_an_author_likes_the_next_videos_better() -> None:
    eager = ReactConfig(follow=(20.0, 0.0))
    world = opened(WorldConfig(n_users=40, n_videos=200, habit=HabitConfig(views=1e9), react=eager))
    author = world.videos.author
    pair = next(np.flatnonzero(author == a)[:2] for a in author if (author == a).sum() > 1).astype(np.int32)
    user, now = np.arange(40, dtype=np.int32), np.full(40, world.now_ms)
    before = world.affinity(user, np.full(40, pair[1]), now)
    views = world.respond(asks_of(world, user), Slates(np.full((40, 1), pair[0], np.int32))).views
    follows = views.did(Kind.FOLLOW)
    gain = world.affinity(user, np.full(40, pair[1]), now) - before
    np.testing.assert_allclose(gain, np.where(follows, world.config.taste.followed, 0), atol=1e-5)
    np.testing.assert_array_equal(follows, views.seconds >= world.config.watch.skip_s)  # not who left at once


def test_who_likes_more_reacts_more_and_dislikes_less() -> None:
    world, random = opened(WorldConfig(n_users=3000, n_videos=3000)), np.random.default_rng(3)
    item = random.integers(0, 3000, (3000, 40)).astype(np.int32)
    v = world.respond(asks_of(world, np.arange(3000)), Slates(item)).views
    liked = world.affinity(v.user, v.item, v.time_ms)
    for kind, sign in ((Kind.LIKE, 1), (Kind.SHARE, 1), (Kind.COMMENT, 1), (Kind.DISLIKE, -1)):
        did = v.did(kind)
        assert did.any()
        assert sign * (liked[did].mean() - liked.mean()) > 0
    assert 0.002 < v.did(Kind.LIKE).mean() < 0.05


def test_the_table_of_means_is_the_formula() -> None:
    affinity, duration_s = np.linspace(-4, 4, 7, dtype=np.float32), np.full(7, 40.0, np.float32)
    expected = [mean_s(CURVE, float(a), 40.0) for a in affinity]
    np.testing.assert_allclose(means_s(CURVE, affinity, duration_s), expected, rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    item = np.tile(np.arange(8, dtype=np.int32), (60, 1))
    out = []
    for seed in (5, 5, 6):
        world = opened(seed=seed)
        out.append(bytes_of(world.respond(asks_of(world, np.arange(60)), Slates(item))))
    assert out[0] == out[1] != out[2]
