"""From seconds to targets and from scores to seconds."""

from __future__ import annotations

import numpy as np

from feedmill.sim.feeds.fast.seconds import LEAST_S, Surface, Yardstick, expected, log_length


def test_targets_have_mean_0_and_sd_1_within_a_duration() -> None:
    random = np.random.default_rng(1)
    duration = np.repeat(np.array([10, 80], np.float32), 20_000)
    seconds = (duration * random.random(40_000)).astype(np.float32)
    length, yardstick = log_length(duration), Yardstick()
    yardstick.fit(length, seconds)
    target = yardstick.target(length, seconds)
    for long in (10, 80):
        some = target[duration == long]
        assert abs(some.mean()) < 0.01
        assert abs(some.std() - 1) < 0.01


def test_a_surface_of_its_own_kind_is_found_again() -> None:
    random = np.random.default_rng(2)
    duration = np.exp(random.uniform(2, 6, 50_000)).astype(np.float32)
    score, x = random.normal(size=50_000).astype(np.float32), log_length(duration)
    truth = 20 + 10 * x + score * (8 + 2 * x) + score**2
    surface = Surface()
    surface.fit(score, x, truth.astype(np.float32), 0.0)
    some = log_length(np.array([20, 200], np.float32))
    parabolas = surface.parabolas(some)
    for k in range(2):
        for s in (-1.0, 0.0, 1.5):
            true = 20 + 10 * some[k] + s * (8 + 2 * some[k]) + s * s
            assert abs(expected(parabolas, k, s, -9.0, 9.0) - true) < 0.3


def test_beyond_what_was_seen_it_is_flat_and_never_below_nothing() -> None:
    parabolas = np.array([[1], [1], [0]], np.float32)
    assert expected(parabolas, 0, 5.0, -1.0, 2.0) == 3
    assert expected(parabolas, 0, -5.0, -3.0, 2.0) == np.float32(LEAST_S)


def test_before_any_view_a_higher_score_is_worth_more() -> None:
    parabolas = Surface().parabolas(log_length(np.array([np.nan, 30], np.float32)))
    assert (parabolas[1] > 0).all()
    assert np.isfinite(parabolas).all()
