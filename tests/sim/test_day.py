"""Who comes when, and who comes again."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from feedmill.sim.audience import make_people
from feedmill.sim.config import DAY_MS, HabitConfig, WorldConfig
from feedmill.sim.day import HOURS, SHOWN_A_DAY, Sessions, evening, session_lengths, sessions_of
from feedmill.sim.memory import no_memory
from feedmill.sim.watch import Memory

CONFIG = WorldConfig(n_users=20_000)
NOW = CONFIG.start_ms
PEOPLE = make_people(CONFIG, 3, 0, CONFIG.n_users, -1)


def today(config: WorldConfig = CONFIG, memory: Memory | None = None, day: int = 0) -> Sessions:
    return sessions_of(config, PEOPLE, memory or no_memory(len(PEOPLE), 8, 0), 1, day, NOW)


def test_sessions_are_in_order_and_follow_the_shape_of_the_day() -> None:
    sessions = today()
    assert (np.diff(sessions.time_ms) >= 0).all()
    assert sessions.time_ms[0] >= NOW
    hour = (sessions.time_ms - NOW) // 3_600_000 % 24
    share = np.bincount(hour, minlength=24) / len(sessions)
    np.testing.assert_allclose(share, np.array(HOURS) / sum(HOURS), atol=0.004)


def test_sessions_at_full_scale() -> None:
    sessions = today(WorldConfig(n_users=20_000, views_per_day=SHOWN_A_DAY))
    each = np.bincount(sessions.user)
    each = each[each > 0]
    assert each.mean() == pytest.approx(9.5, rel=0.03)
    assert np.median(each) == 9


def test_classes_come_as_often_as_they_should() -> None:
    came = np.bincount(today().user, minlength=len(PEOPLE)) > 0
    activity = PEOPLE.activity(NOW, CONFIG.habit.new_days)
    for k, usual in enumerate(CONFIG.habit.come):
        n = (activity == k).sum()
        assert abs(came[activity == k].mean() - usual) < 4 * np.sqrt(usual * (1 - usual) / n)


def test_who_was_pleased_comes_again_and_the_same_luck_decides() -> None:
    pleased, sorry = (no_memory(len(PEOPLE), 8, 0) for _ in range(2))
    pleased.satisfaction[:], sorry.satisfaction[:] = 1, -1
    more, fewer = set(today(memory=pleased).user.tolist()), set(today(memory=sorry).user.tolist())
    assert fewer < more
    assert len(fewer) < 0.9 * len(more)


def test_what_one_person_does_hangs_on_no_other() -> None:
    memory = no_memory(len(PEOPLE), 8, 0)
    memory.satisfaction[1:] = -2
    plain, changed = today(), today(memory=memory)
    np.testing.assert_array_equal(plain.time_ms[plain.user == 0], changed.time_ms[changed.user == 0])


def test_sessions_of_a_person_keep_apart() -> None:
    config = WorldConfig(n_users=20_000, views_per_day=SHOWN_A_DAY)
    sessions, length = today(config), session_lengths(config, PEOPLE, NOW)
    order = np.lexsort((sessions.time_ms, sessions.user))
    user, time_ms = sessions.user[order], sessions.time_ms[order]
    same = np.diff(user) == 0
    assert (np.diff(time_ms)[same] >= 40_000 * length[user[1:]][same] - 1000).all()


def test_an_audience_that_never_returns() -> None:
    never = msgspec.structs.replace(CONFIG, habit=HabitConfig(come=(0, 0, 0, 0, 0)))
    assert len(today(never)) == 0


def test_satisfaction_follows_what_was_liked_and_the_account_is_closed() -> None:
    memory = no_memory(len(PEOPLE), 8, 0)
    memory.pleasure[:3], memory.n_today[:3] = (4.0, -4.0, 0.0), (4, 4, 2)
    evening(CONFIG, PEOPLE, memory, 1, 0, NOW)
    expected = np.array([1, -1, 0]) / CONFIG.habit.memory_days
    np.testing.assert_allclose(memory.satisfaction[:3], expected, rtol=1e-6)
    assert not memory.satisfaction[3:].any()
    assert not memory.pleasure.any()
    assert not memory.n_today.any()


def test_the_sorry_and_the_new_leave_for_good_more_often() -> None:
    def left(satisfaction: float) -> np.ndarray:
        memory = no_memory(len(PEOPLE), 8, 0)
        memory.satisfaction[:] = satisfaction
        return np.mean([evening(CONFIG, PEOPLE, memory, 1, day, NOW) for day in range(60)], axis=0)

    new = PEOPLE.is_new(NOW, CONFIG.habit.new_days)
    usual = left(0)
    assert usual[~new].mean() == pytest.approx(CONFIG.habit.leave, rel=0.1)
    assert usual[new].mean() == pytest.approx(CONFIG.habit.leave * CONFIG.habit.leave_new, rel=0.2)
    assert left(-1).mean() > 2 * usual.mean() > 4 * left(1).mean()


def test_new_people_have_less_patience() -> None:
    length = session_lengths(CONFIG, PEOPLE, NOW)
    later = session_lengths(CONFIG, PEOPLE, NOW + 20 * DAY_MS)
    new = PEOPLE.is_new(NOW, CONFIG.habit.new_days)
    np.testing.assert_array_equal(length[~new], later[~new])
    assert (length[new] <= later[new]).all()
    assert length[new].mean() < 0.8 * later[new].mean()
