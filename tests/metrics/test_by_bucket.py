from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.by_bucket import METRICS, by_bucket, edges_of, in_ranges
from feedmill.metrics.calibration import ece, pcoc
from feedmill.metrics.classification import auc, gauc, log_loss, normalized_entropy


def drawn(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities on a grid (there are ties), buckets and users; bucket 1 reads twice too high."""
    random = rng(seed, "rows")
    p = np.round(random.beta(2, 8, n), 2)
    bucket, user = random.integers(0, 3, n), random.integers(0, 40, n)
    truth = np.where(bucket == 1, p / 2, p)
    return (random.random(n) < truth).astype(float), p, bucket, user


def test_points_are_those_of_the_plain_metrics() -> None:
    y, p, bucket, user = drawn()
    lines = by_bucket(y, p, bucket, user=user, n_resamples=20)
    assert [line.name for line in lines] == ["all", "0", "1", "2"]
    for line in lines:
        at = np.ones(len(y), bool) if line.name == "all" else bucket == int(line.name)
        assert line.n == at.sum()
        assert line.n_positive == y[at].sum()
        expected = {
            "log_loss": log_loss(y[at], p[at]),
            "ne": normalized_entropy(y[at], p[at]),
            "auc": auc(y[at], p[at]),
            "gauc": gauc(user[at], y[at], p[at]),
            "ece": ece(y[at], p[at]),
            "pcoc": pcoc(y[at], p[at]),
        }
        for metric, value in expected.items():
            assert getattr(line, metric).mean == pytest.approx(value), (line.name, metric)


def test_intervals_hold_the_point_and_tell_the_bucket_that_reads_high() -> None:
    y, p, bucket, user = drawn()
    _, zero, one, _ = by_bucket(y, p, bucket, user=user, names=["a", "b", "c"])
    assert (zero.name, one.name) == ("a", "b")
    assert zero.pcoc.low < 1 < zero.pcoc.high
    assert one.pcoc.low > 1.5
    for metric in METRICS:
        interval = getattr(zero, metric)
        assert interval.low <= interval.high
        assert interval.n == 40
    assert zero.auc.low < zero.auc.mean < zero.auc.high


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    """Of a log loss over independent rows: 2 * 1.96 standard errors."""
    y, p, bucket, _ = drawn(4000)
    line = by_bucket(y, p, np.zeros_like(bucket), n_resamples=400)[0]
    loss = -(y * np.log(np.clip(p, 1e-7, 1)) + (1 - y) * np.log1p(-p))
    width = 2 * 1.96 * loss.std() / np.sqrt(len(loss))
    assert line.log_loss.high - line.log_loss.low == pytest.approx(width, rel=0.15)
    assert np.isnan(line.gauc.mean), "no users were given"


def test_weights_count_like_repeats() -> None:
    y, p, bucket, _ = drawn(400)
    times = rng(1, "times").integers(1, 4, len(y))
    weighed = by_bucket(y, p, bucket, weight=times, n_resamples=1)
    repeated = by_bucket(*(np.repeat(c, times) for c in (y, p, bucket)), n_resamples=1)
    for a, b in zip(weighed, repeated, strict=True):
        for metric in ("log_loss", "ne", "auc", "pcoc"):
            assert getattr(a, metric).mean == pytest.approx(getattr(b, metric).mean)


def test_the_same_seed_gives_the_same_intervals() -> None:
    y, p, bucket, user = drawn(300)
    once, again, other = (by_bucket(y, p, bucket, user=user, seed=s, n_resamples=30) for s in (1, 1, 2))
    np.testing.assert_equal(once, again)
    assert once[0].auc != other[0].auc


def test_one_class_and_missing_rows() -> None:
    y = np.array([0.0, 0, 0, 1, np.nan, 1])
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.5, np.nan])
    bucket = np.array([0, 0, 0, 1, 1, 1])
    whole, zeros, single = by_bucket(y, p, bucket, n_resamples=10)
    assert (whole.n, zeros.n, single.n) == (4, 3, 1)
    assert np.isnan([zeros.auc.mean, zeros.ne.mean, zeros.pcoc.mean]).all()
    assert zeros.log_loss.mean == pytest.approx(-np.log([0.9, 0.8, 0.7]).mean())
    assert single.pcoc.mean == pytest.approx(0.8)
    assert by_bucket(np.zeros(0), np.zeros(0), np.zeros(0, int)) == []


def test_refusals() -> None:
    with pytest.raises(DataError, match="lengths"):
        by_bucket(np.zeros(2), np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match="probabilities from"):
        by_bucket(np.zeros(2), np.full(2, 1.5), np.zeros(2, int))
    with pytest.raises(DataError, match="labels"):
        by_bucket(np.full(2, 3), np.zeros(2), np.zeros(2, int))


@given(st.lists(st.floats(-100, 100) | st.just(float("nan")), max_size=40), st.integers(1, 12))
def test_every_number_has_one_range(values: list[float], n_buckets: int) -> None:
    v = np.array(values)
    edges = edges_of(v, n_buckets)
    at = in_ranges(v, edges)
    assert ((at == 0) == np.isnan(v)).all()
    assert at.max(initial=0) <= max(len(edges) - 1, 0) <= n_buckets
    for k in range(1, len(edges)):
        inside = v[at == k]
        assert (inside >= edges[k - 1]).all()
        assert (inside <= edges[k]).all()


def test_ranges_have_about_equally_many_rows_and_open_ends() -> None:
    values = rng(0, "durations").exponential(30, 1000)
    edges = edges_of(values, 4)
    assert np.bincount(in_ranges(values, edges))[1:].tolist() == pytest.approx([250] * 4, abs=2)
    assert in_ranges(np.array([-1e9, 1e9, np.inf]), edges).tolist() == [1, 4, 0]
    assert in_ranges(np.array([5.0]), edges_of(np.full(3, 5.0), 4)).tolist() == [1]
