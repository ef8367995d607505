from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.errors import DataError
from feedmill.metrics import intervals
from feedmill.metrics.intervals import bootstrap, paired_difference


def test_same_seed_same_interval_other_seed_another() -> None:
    values = np.random.default_rng(1).random(200)
    assert bootstrap(values, 7) == bootstrap(values, 7)
    assert bootstrap(values, 7) != bootstrap(values, 8)


def test_width_is_the_standard_error() -> None:
    values = np.random.default_rng(2).normal(3, 2, 2500)
    got = bootstrap(values, 0)
    half = 1.96 * values.std() / 50
    assert got.mean == pytest.approx(values.mean())
    assert got.high - got.mean == pytest.approx(half, rel=0.1)
    assert got.mean - got.low == pytest.approx(half, rel=0.1)
    assert bootstrap(values, 0, level=0.5).high < got.high


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(3)
    inside = sum(
        i.low <= 0.3 <= i.high
        for i in (bootstrap((draw.random(150) < 0.3).astype(float), s, n_resamples=300) for s in range(200))
    )
    assert 0.90 <= inside / 200 <= 0.99


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).random(101)
    whole = bootstrap(values, 5)
    monkeypatch.setattr(intervals, "CHUNK", 250)
    assert bootstrap(values, 5) == whole


def test_users_the_metric_does_not_apply_to_are_left_out() -> None:
    got = bootstrap(np.array([1.0, np.nan, 1.0]), 0)
    assert tuple(got) == (1, 1, 1, 2)
    assert str(got) == "1.0000 [1.0000, 1.0000]"
    assert bootstrap(np.array([np.nan]), 0).n == 0
    assert np.isnan(bootstrap(np.empty(0), 0).mean)


def test_pairing_sees_a_small_gain_among_very_different_users() -> None:
    draw = np.random.default_rng(6)
    theirs = draw.random(500)
    ours = theirs + 0.01 + draw.normal(0, 0.02, 500)
    apart = bootstrap(ours, 0), bootstrap(theirs, 0)
    assert apart[0].low < apart[1].high, "the intervals of the two rows overlap"
    assert paired_difference(ours, theirs, 0).low > 0
    assert paired_difference(theirs, ours, 0).high < 0
    none = paired_difference(ours, ours, 0)
    assert (none.mean, none.low, none.high) == (0, 0, 0)


def test_refusals() -> None:
    with pytest.raises(DataError, match="level"):
        bootstrap(np.ones(3), 0, level=1.0)
    with pytest.raises(DataError, match="one number per user"):
        bootstrap(np.ones((3, 2)), 0)
    with pytest.raises(DataError, match="same users"):
        paired_difference(np.ones(3), np.ones(2), 0)
