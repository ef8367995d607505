from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError
from feedmill.samples.frequency import Frequency, FrequencyConfig


def readings(
    q: float, alpha: float, n_readings: int, n_steps: int, *, initial_p: float, seed: int = 0
) -> tuple[Frequency, np.ndarray]:
    """Item 1 drawn with probability q; its estimated gap every ``n_steps`` rows."""
    estimator = Frequency(FrequencyConfig(n_slots=64, n_hashes=1, alpha=alpha, initial_p=initial_p), seed)
    random = rng(seed, "draws")
    gaps = np.empty(n_readings)
    for k in range(n_readings):
        estimator.update((random.random(n_steps) >= q).astype(np.int64) + 1)
        gaps[k] = 1 / estimator.p(np.array([1]))[0]
    return estimator, gaps


@pytest.mark.parametrize(("alpha", "within_tenth"), [(0.05, 0.44), (0.01, 0.89), (0.002, 1.0)])
def test_a_steady_rate_is_found_with_the_spread_of_alpha(alpha: float, within_tenth: float) -> None:
    """The mean gap is 1/q, its relative spread sqrt(alpha / 2): gaps are geometric, their average exponential."""
    q = 0.2
    _, gaps = readings(q, alpha, 3000, int(2 / alpha / q), initial_p=q)  # readings two memories apart
    assert gaps.mean() == pytest.approx(1 / q, rel=0.02)
    spread = np.sqrt((1 - q) * alpha / 2)  # a geometric gap spreads sqrt(1 - q) of its mean
    assert gaps.std() * q == pytest.approx(spread, rel=0.1)
    rare = np.abs(readings(0.02, alpha, 1000, int(2 / alpha / 0.02), initial_p=0.02)[1] * 0.02 - 1) < 0.1
    assert rare.mean() == pytest.approx(within_tenth, abs=0.05)


def test_it_follows_a_doubled_rate() -> None:
    alpha, q = 0.01, 0.02
    estimator, gaps = readings(q, alpha, 20, 50_000, initial_p=1e-3)
    before = gaps[1:].mean()
    random = rng(1, "later")
    after = []
    for _ in range(20):
        estimator.update((random.random(50_000) >= 2 * q).astype(np.int64) + 1)
        after.append(1 / estimator.p(np.array([1]))[0])
    assert before == pytest.approx(1 / q, rel=0.05)
    assert np.mean(after[1:]) == pytest.approx(1 / (2 * q), rel=0.05)


def test_four_hashes_beat_one_where_items_collide() -> None:
    """Figures 4 and 5 of the paper: 2000 items in 1000 slots."""
    weight = 1 / np.arange(1, 2001) ** 0.7
    q = weight / weight.sum()
    stream = rng(2, "stream").choice(2000, 400_000, p=q)
    error = {}
    for m in (1, 4):
        config = FrequencyConfig(n_slots=1000, n_hashes=m, alpha=0.02, initial_p=float(q[1000]))
        estimator = Frequency(config)
        estimator.update(stream)
        error[m] = np.abs(np.log(estimator.p(np.arange(2000)) / q)).mean()
    assert error[4] < 0.6 * error[1]


@given(st.lists(st.integers(0, 30), max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_it_equals_the_plain_loop_however_the_stream_is_cut(stream: list[int], cuts: list[int]) -> None:
    config = FrequencyConfig(n_slots=1 << 16, n_hashes=1, alpha=0.3, initial_p=0.05)
    estimator = Frequency(config)
    for batch in np.split(np.array(stream, np.int32), sorted(min(c, len(stream)) for c in cuts)):
        estimator.update(batch)
    last: dict[int, int] = {}
    gap = dict.fromkeys(range(31), 20.0)
    for t, y in enumerate(stream, 1):
        if y in last:
            gap[y] = 0.7 * gap[y] + 0.3 * (t - last[y])
        last[y] = t
    np.testing.assert_allclose(estimator.p(np.arange(31)), [1 / gap[y] for y in range(31)], rtol=1e-12)


def test_the_first_sight_says_nothing_yet() -> None:
    estimator = Frequency(FrequencyConfig(initial_p=0.01, alpha=0.5))
    assert estimator.p(np.array([7])).tolist() == [0.01]
    estimator.update(np.array([3, 3, 7]))
    assert estimator.p(np.array([7])).tolist() == [0.01]
    estimator.update(np.array([7]))
    assert estimator.p(np.array([7]))[0] == pytest.approx(1 / (0.5 * 100 + 0.5 * 1))
    assert estimator.log_p(np.array([7]))[0] == pytest.approx(-np.log(50.5))


def test_a_checkpoint_goes_on_to_the_last_bit() -> None:
    config = FrequencyConfig(n_slots=50, n_hashes=3)
    random = rng(3, "checkpoint")
    first, second = random.integers(0, 100, 5000), random.integers(0, 100, 5000)
    whole = Frequency(config, seed=5)
    whole.update(first)
    saved = whole.arrays()
    whole.update(second)
    resumed = Frequency.restore(config, saved)
    resumed.update(second)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, resumed.arrays()[name], err_msg=name)
    assert saved["step"][0] == 5000  # what was saved does not go on with it


def test_a_checkpoint_of_another_size_is_refused() -> None:
    saved = Frequency(FrequencyConfig(n_slots=50)).arrays()
    with pytest.raises(ArtifactError, match=r"'last'.*\[4, 50\]"):
        Frequency.restore(FrequencyConfig(n_slots=51), saved)
    with pytest.raises(ArtifactError, match="missing"):
        Frequency.restore(FrequencyConfig(n_slots=50), {k: v for k, v in saved.items() if k != "gap"})


def test_hashes_are_independent_and_even() -> None:
    """Two items that share a slot under one function rarely do under another."""
    config = FrequencyConfig(n_slots=1 << 12, n_hashes=2, alpha=0.5)
    estimator = Frequency(config)
    estimator.update(np.arange(4096))
    filled = (estimator.arrays()["last"] > 0).mean(1)
    assert filled == pytest.approx(1 - np.exp(-1), abs=0.03)  # balls in bins
    assert not np.array_equal(*estimator.arrays()["last"])
