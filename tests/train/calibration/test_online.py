from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError, DataError
from feedmill.metrics.calibration import ece, pcoc
from feedmill.metrics.calibrators import Calibrator, Platt, Shifts, logit, sigmoid
from feedmill.train.calibration.fit import CalibrationConfig, Observed, fit
from feedmill.train.calibration.online import DecayedCounts, OnlineConfig

HOUR_MS = 3_600_000
KINDS = ("platt", "isotonic", "bucket")


def hours(n: int, drift: float, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Labels, predictions, times and buckets of each hour: the truth moves away from the model by ``drift`` logits an
    hour, and bucket 1 stands half a logit above it all along."""
    random, out = rng(seed, "stream"), []
    for hour in range(n):
        p = sigmoid(random.normal(-2, 1, 2000))
        bucket = random.integers(0, 2, 2000)
        truth = sigmoid(logit(p) + drift * hour + 0.5 * bucket)
        time_ms = np.sort(hour * HOUR_MS + random.integers(0, HOUR_MS, 2000))
        out.append(((random.random(2000) < truth).astype(float), p, time_ms, bucket))
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_drifting_stream_it_stays_right_where_a_frozen_one_does_not(kind: str) -> None:
    config = CalibrationConfig(kind=kind, prior_count=20)  # type: ignore[arg-type]
    counts = DecayedCounts(OnlineConfig(half_life_s=3600), n_buckets=1)
    frozen: Calibrator | None = None
    served: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for hour, (y, p, time_ms, bucket) in enumerate(hours(24, drift=-0.08)):
        now = counts.calibrator(config)
        if hour == 4:
            frozen = now
        if hour >= 4:
            assert now is not None
            assert frozen is not None
            served.append((y, now(p, bucket), frozen(p, bucket)))
        counts.update(y, p, time_ms, bucket)  # predict first, learn later
    labels, online, once = (np.concatenate([hour[k] for hour in served[10:]]) for k in range(3))
    assert pcoc(labels, once) > 2, "the frozen one reads high by now"
    assert pcoc(labels, online) == pytest.approx(1, abs=0.25)
    assert ece(labels, online) < 0.2 * ece(labels, once)


def test_without_drift_it_is_as_good_as_the_fit_on_all_rows() -> None:
    y, p, time_ms, _ = (np.concatenate(c) for c in zip(*hours(12, drift=0.0), strict=True))
    counts = DecayedCounts(OnlineConfig(half_life_s=1e9))
    for at in np.array_split(np.arange(len(y)), 7):
        counts.update(y[at], p[at], time_ms[at])
    for kind in KINDS:
        config = CalibrationConfig(kind=kind)  # type: ignore[arg-type]
        online, offline = counts.calibrator(config), fit(config, Observed.of(y, p), 0)
        assert online is not None
        assert offline is not None
        grid = np.linspace(0.02, 0.5, 40)
        same = np.zeros(40, np.int64)
        apart = np.abs(online(grid, same) - offline(grid, same))
        assert apart.mean() < (0.02 if kind == "isotonic" else 0.002), "steps are cut at the bins"


def test_the_order_of_updates_and_where_they_are_cut_do_not_matter() -> None:
    y, p, time_ms, bucket = (np.concatenate(c) for c in zip(*hours(3, drift=0.2), strict=True))
    whole = DecayedCounts(OnlineConfig(half_life_s=3600), 1)
    whole.update(y, p, time_ms, bucket)
    pieces = DecayedCounts(OnlineConfig(half_life_s=3600), 1)
    for at in np.array_split(rng(5, "late").permutation(len(y)), 9):
        pieces.update(y[at], p[at], time_ms[at], bucket[at])
    np.testing.assert_allclose(whole.counts, pieces.counts, rtol=1e-9, atol=1e-12)


def test_it_goes_on_from_a_checkpoint() -> None:
    first, second, third = hours(3, drift=0.3)
    config = OnlineConfig(half_life_s=3600)
    whole = DecayedCounts(config, 1)
    for y, p, time_ms, bucket in (first, second):
        whole.update(y, p, time_ms, bucket)
    again = DecayedCounts.of(config, whole.arrays())
    for counts in (whole, again):
        counts.update(*third)
    np.testing.assert_array_equal(whole.counts, again.counts)
    with pytest.raises(ArtifactError, match="counts"):
        DecayedCounts(config, 3, whole.counts)


def test_rows_weigh_what_was_left_out() -> None:
    """Half a million rows of which a fiftieth of the negatives was kept."""
    random = rng(0, "kept")
    y = (random.random(500_000) < 0.01).astype(float)
    keep = (y > 0) | (random.random(len(y)) < 0.02)
    y = y[keep]
    counts = DecayedCounts(OnlineConfig())
    counts.update(y, np.full(len(y), 0.05), np.zeros(len(y), np.int64), weight=np.where(y > 0, 1.0, 50.0))
    found = counts.calibrator(CalibrationConfig(kind="platt"))
    assert found is not None
    assert found(np.array([0.05]), np.zeros(1, int))[0] == pytest.approx(0.01, rel=0.05)


def test_too_few_rows_or_one_class_say_nothing() -> None:
    config = CalibrationConfig(kind="platt")
    counts = DecayedCounts(OnlineConfig(min_rows=50))
    assert counts.calibrator(config) is None
    counts.update(np.arange(20) % 2, np.full(20, 0.5), np.zeros(20, np.int64))
    assert counts.calibrator(config) is None
    zeros = DecayedCounts(OnlineConfig(min_rows=50))
    zeros.update(np.zeros(100), np.full(100, 0.1), np.zeros(100, np.int64))
    assert zeros.calibrator(config) is None


def test_ends_missing_labels_and_wrong_buckets() -> None:
    counts = DecayedCounts(OnlineConfig(min_rows=1), 1)
    counts.update(np.array([0, 1, np.nan]), np.array([0.0, 1.0, 0.5]), np.zeros(3, np.int64), np.array([0, 1, 0]))
    assert counts.counts[..., 0].sum() == 2
    assert isinstance(counts.calibrator(CalibrationConfig(kind="bucket")), Shifts)
    assert isinstance(counts.calibrator(CalibrationConfig(kind="platt")), Platt)
    counts.update(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="buckets 2 to 2"):
        counts.update(np.ones(1), np.ones(1), np.zeros(1, np.int64), np.array([2]))
