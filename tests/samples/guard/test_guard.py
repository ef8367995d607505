import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.samples.guard import Guard, GuardConfig, Stretch, Window

MINUTE = 60_000
Pair = tuple[float, float]


def window(minute: int, clicks: float, shown: float, **more: Pair) -> Window:
    return Window(minute * MINUTE, (minute + 1) * MINUTE, {"click": (clicks, shown), **more})


def fed(guard: Guard, n: int, rate: float = 0.1, shown: int = 1000, start: int = 0, seed: int = 0) -> Guard:
    draw = rng(seed, "guard")
    for minute in range(start, start + n):
        guard.observe(window(minute, draw.binomial(shown, rate), shown))
    return guard


def test_clicks_that_stop_open_it_in_the_first_window_and_the_stretch_begins_before() -> None:
    guard = fed(Guard(GuardConfig(margin_s=90)), 60)
    assert not guard.is_open
    findings = guard.observe(window(60, 0, 1000))
    assert guard.is_open
    assert [f.signal for f in findings] == ["click"]
    assert "click: 0 where 0.1" in findings[0].words or "click: 0 where 0.09" in findings[0].words
    assert guard.stretches[0].from_ms == 60 * MINUTE - 90_000
    moments = np.array([58, 59, 60, 500], np.int64) * MINUTE
    assert guard.quarantined(moments).tolist() == [False, True, True, True]


def test_it_closes_after_healthy_windows_in_a_row_and_the_stretch_ends_there() -> None:
    guard = fed(Guard(GuardConfig(healthy=3, margin_s=60)), 60)
    for minute, clicks in enumerate([0, 0, 100, 100, 0, 100, 100], 60):
        guard.observe(window(minute, clicks, 1000))
    assert guard.is_open  # the bad one in between began the count anew
    guard.observe(window(67, 100, 1000))
    assert not guard.is_open
    assert [(s.from_ms, s.to_ms) for s in guard.stretches] == [(59 * MINUTE, 68 * MINUTE)]
    assert guard.quarantined(np.array([67, 68]) * MINUTE).tolist() == [True, False]


def test_what_was_bad_never_becomes_the_usual() -> None:
    guard = fed(Guard(GuardConfig(healthy=3)), 60)
    before = guard.usual()
    fed(guard, 300, rate=0.01, start=60)
    assert guard.is_open
    assert guard.usual() == before
    fed(guard, 3, start=360)
    assert not guard.is_open


def test_half_of_the_clicks_are_missed_when_single_windows_cannot_tell() -> None:
    """40 clicks a window are expected, 20 come: 3 standard deviations each. Four windows together are 6."""
    guard = fed(Guard(GuardConfig(margin_s=0)), 200, rate=0.04)
    fed(guard, 8, rate=0.02, start=200)
    assert guard.is_open
    assert abs(guard.stretches[0].from_ms - 200 * MINUTE) <= 2 * MINUTE, "since it began, not since it was found"
    fed(guard, 100, rate=0.02, start=208, seed=1)
    assert guard.is_open, "windows that cannot tell do not close it"
    fed(guard, 5, rate=0.04, start=308)
    assert not guard.is_open


def test_a_rare_kind_is_judged_as_often_as_it_can_be() -> None:
    """4 shares a window: eight windows gather enough to be judged, while clicks are judged in every one."""
    guard = Guard(GuardConfig())
    draw = rng(0, "rare")
    for minute in range(600):
        guard.observe(window(minute, draw.binomial(1000, 0.1), 1000, share=(draw.binomial(1000, 0.004), 1000)))
    assert not guard.is_open
    for minute in range(600, 640):
        if guard.observe(window(minute, draw.binomial(1000, 0.1), 1000, share=(0, 1000))):
            break
    assert 607 <= minute <= 620
    assert guard.stretches[0].from_ms <= 600 * MINUTE
    fed(guard, 10, start=minute + 1)
    assert guard.is_open, "healthy clicks say nothing of shares"


def test_a_flood_is_off_too_and_dislikes_that_pour_in() -> None:
    guard = Guard(GuardConfig())
    for minute in range(300):
        guard.observe(window(minute, 100, 1000, dislike=(1, 1000)))
    findings = guard.observe(window(300, 300, 1000, dislike=(60, 1000)))
    assert {f.signal for f in findings} == {"click", "dislike"}


def test_what_is_lost_may_fall_and_rise_a_little() -> None:
    guard = Guard(GuardConfig(lost=0.05))
    lost = "click.lost"
    for minute in range(60):
        guard.observe(window(minute, 1000, 10_000, **{lost: (2, 1000)}))
    for minute in range(60, 70):
        assert guard.observe(window(minute, 1000, 10_000, **{lost: (0 if minute % 2 else 60, 1000)})) == []
    assert [f.signal for f in guard.observe(window(70, 1000, 10_000, **{lost: (500, 1000)}))] == [lost]
    for minute in range(71, 76):
        guard.observe(window(minute, 1000, 10_000, **{lost: (2, 1000)}))
    assert not guard.is_open


def test_resumed_by_hand_what_comes_is_the_new_normal() -> None:
    guard = fed(Guard(GuardConfig()), 60)
    guard.observe(window(60, 10, 1000))
    guard.resume(61 * MINUTE)
    assert not guard.is_open
    fed(guard, 100, rate=0.01, shown=10_000, start=61)
    assert not guard.is_open
    assert [(s.from_ms, s.to_ms) for s in guard.stretches] == [(58 * MINUTE, 61 * MINUTE)]
    fed(guard, 1, rate=0.1, shown=10_000, start=161)
    assert guard.is_open


@pytest.mark.parametrize("between", [7, 20, 60])
def test_resumed_before_the_break_was_over_it_sees_the_next_one_at_once(between: int) -> None:
    """Three windows of the first are then in its baseline: as soon as it has ten windows, the second is found."""
    guard = fed(Guard(GuardConfig()), 60)
    fed(guard, 5, rate=0.0, start=60)
    guard.resume(65 * MINUTE)
    fed(guard, 3, rate=0.0, start=65)
    fed(guard, between, start=68)
    assert not guard.is_open
    fed(guard, 1, rate=0.0, start=68 + between)
    assert guard.is_open == (between > 7)
    fed(guard, 5, rate=0.0, start=69 + between)
    assert guard.is_open


@pytest.mark.parametrize("between", [1, 5, 20, 60])
def test_a_break_after_one_that_was_found_is_found_too(between: int) -> None:
    guard = fed(Guard(GuardConfig()), 60)
    fed(guard, 10, rate=0.0, start=60)
    fed(guard, between, start=70)
    assert guard.is_open == (between < guard.config.healthy)
    fed(guard, 1, rate=0.0, start=70 + between)
    assert guard.is_open


def test_a_quarantine_by_hand_does_not_close_what_is_open() -> None:
    guard = fed(Guard(GuardConfig(healthy=2)), 60)
    guard.observe(window(60, 0, 1000))
    guard.quarantine(Stretch(5 * MINUTE, 7 * MINUTE, ["a test by the shop"], "ann"))
    assert guard.is_open
    moments = np.array([4, 5, 6, 7, 60]) * MINUTE
    assert guard.quarantined(moments).tolist() == [False, True, True, False, True]
    fed(guard, 2, start=61)
    assert not guard.is_open
    assert [s.to_ms for s in guard.stretches] == [63 * MINUTE, 7 * MINUTE]


def test_a_quiet_month_of_days_and_nights_raises_no_alarm() -> None:
    """43,200 minutes; traffic and rate swing with the hour, and users differ, so counts vary more than Poisson's."""
    guard, draw = Guard(GuardConfig()), rng(3, "month")
    minutes = np.arange(43_200)
    day = np.sin(2 * math.pi * minutes / 1440)
    shown = draw.poisson(2000 * (1 + 0.99 * day))  # 20 a minute at night
    clicks = draw.binomial(shown, draw.beta(160, 1840, size=43_200) * (1 + 0.2 * day))  # 8 % more noise each minute
    alarms = sum(bool(guard.observe(window(m, k, n))) for m, k, n in zip(minutes.tolist(), clicks, shown, strict=True))
    assert alarms == 0


def test_a_jump_that_comes_every_day_is_usual_at_its_hour() -> None:
    """Between 20 and 21 h twice as many click. Said once by hand; then the hour is known."""
    guard, draw, alarms = Guard(GuardConfig()), rng(0, "evening"), []
    for minute in range(6 * 1440):
        rate = 0.2 if minute // 60 % 24 == 20 else 0.1
        if guard.observe(window(minute, draw.binomial(2000, rate), 2000)):
            alarms.append(minute)
            guard.resume((minute + 1) * MINUTE)
    assert {m // 1440 for m in alarms} == {0}, "the first evening alone, its beginning and its end"
    guard.observe(window(6 * 1440, 0, 2000))
    assert guard.is_open


def test_windows_with_too_little_wait_for_each_other() -> None:
    guard = fed(Guard(GuardConfig(least=50, margin_s=60)), 60)
    for minute in range(60, 62):
        assert guard.observe(window(minute, 0, 200)) == []  # 20 and 40 clicks would be expected
    assert not guard.is_open
    assert guard.observe(window(62, 0, 400))[0].signal == "click"
    assert guard.stretches[0].from_ms == 59 * MINUTE  # the first of those that waited, less the margin


def test_calibration_is_a_rate_too() -> None:
    guard = Guard(GuardConfig())
    for minute in range(60):
        guard.observe(window(minute, 100, 1000, **{"pcoc.click": (100, 98.0)}))
    findings = guard.observe(window(60, 100, 1000, **{"pcoc.click": (100, 300.0)}))
    assert [f.signal for f in findings] == ["pcoc.click"]


def test_a_column_that_becomes_constant_opens_it() -> None:
    guard = Guard(GuardConfig(healthy=2))
    usual, fixed = np.array([200.0, 300, 300, 200]), np.array([1000.0, 0, 0, 0])

    def of(minute: int, counts: np.ndarray) -> Window:
        return Window(minute, minute + 1, {"click": (100, 1000)}, {"age": counts})

    for minute in range(60):
        guard.observe(of(minute, usual))
    assert guard.observe(of(60, np.array([210.0, 290, 290, 210]))) == []
    assert [f.signal for f in guard.observe(of(61, fixed))] == ["age"]
    assert [guard.observe(of(m, usual)) or guard.is_open for m in (62, 63)] == [True, False]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2000)), max_size=40), st.integers(0, 40))
def test_a_guard_that_was_put_away_and_taken_out_judges_the_same(counts: list[tuple[int, int]], cut: int) -> None:
    config = GuardConfig(baseline=5, healthy=2)
    whole, parted = Guard(config), Guard(config)
    for minute, (clicks, shown) in enumerate(counts):
        if minute == cut:
            parted = Guard.of(config, parted.state())
        shape = {"position": np.array([float(clicks), shown, 7.0])}
        one = window(minute, min(clicks, shown), shown, **{"click.lost": (clicks, 300)})._replace(shapes=shape)
        assert whole.observe(one) == parted.observe(one)
    assert whole.state() == parted.state()
    assert all(s.to_ms == 0 or s.to_ms > s.from_ms for s in whole.stretches)
    assert sum(s.to_ms == 0 for s in whole.stretches) == whole.is_open
