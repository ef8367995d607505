"""The per-coordinate regression against the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import ArtifactError, DataError
from feedmill.metrics.classification import log_loss
from feedmill.train.trees.online_lr import OnlineLr, OnlineLrConfig

ACTIVE = np.array([[0, 1], [0, 2], [0, 1], [0, -1], [0, 2]], np.int32)
LABELS = np.array([1, 0, 0, 1, 1])


def test_the_rate_of_a_coordinate() -> None:
    """w_j -= g_j alpha / (beta + sqrt(sum of g_j², this row's with it)), row after row."""
    config = OnlineLrConfig(alpha=0.3, beta=0.7)
    lr = OnlineLr(config, np.array([0.1, -0.2, 0.3]))
    weights, squares, said = [0.1, -0.2, 0.3], [0.0, 0.0, 0.0], []
    importance = [1.0, 2.0, 1.0, 0.5, 0.0]
    for row, y, c in zip(ACTIVE.tolist(), LABELS.tolist(), importance, strict=True):
        known = [j for j in row if j >= 0]
        p = 1 / (1 + math.exp(-sum(weights[j] for j in known)))
        said.append(p)
        g = c * (p - y)
        for j in known:
            squares[j] += g * g
            weights[j] -= 0.3 / (0.7 + math.sqrt(squares[j])) * g
    np.testing.assert_allclose(lr.update(ACTIVE, LABELS, np.array(importance)), said)
    np.testing.assert_allclose(lr.weight, weights)


def test_l1_and_l2_as_in_ftrl_proximal() -> None:
    """McMahan et al. 2013, algorithm 1, in plain Python; drawn back to where the weights began."""
    alpha, beta, l1, l2 = 0.2, 1.0, 0.4, 0.5
    start = [0.05, -0.1, 0.2]
    lr = OnlineLr(OnlineLrConfig(alpha=alpha, beta=beta, l1=l1, l2=l2), np.array(start))
    z, n = [0.0] * 3, [0.0] * 3

    def weight(j: int) -> float:
        if abs(z[j]) <= l1:
            return start[j]
        return start[j] - (z[j] - math.copysign(l1, z[j])) / ((beta + math.sqrt(n[j])) / alpha + l2)

    for row, y in zip(ACTIVE.tolist(), LABELS.tolist(), strict=True):
        known = [j for j in row if j >= 0]
        w = {j: weight(j) for j in known}
        g = 1 / (1 + math.exp(-sum(w.values()))) - y
        for j in known:
            sigma = (math.sqrt(n[j] + g * g) - math.sqrt(n[j])) / alpha
            z[j] += g - sigma * (w[j] - start[j])
            n[j] += g * g
    lr.update(ACTIVE, LABELS)
    np.testing.assert_allclose(lr.weight, [weight(j) for j in range(3)])
    strong = OnlineLr(OnlineLrConfig(alpha=alpha, l1=100.0), np.array(start))
    strong.update(ACTIVE, LABELS)
    assert strong.weight.tolist() == start


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5), st.integers(0, 1)), max_size=40), st.integers(0, 40))
def test_it_does_not_matter_how_the_stream_is_cut(rows: list[tuple[int, int, int]], cut: int) -> None:
    """Stopped, stored and opened again, it is where it would have been."""
    active = np.array([r[:2] for r in rows], np.int32).reshape(len(rows), 2)
    labels = np.array([r[2] for r in rows])
    whole = OnlineLr(OnlineLrConfig(alpha=0.5), np.zeros(6))
    said = whole.update(active, labels)
    first = OnlineLr(OnlineLrConfig(alpha=0.5), np.zeros(6))
    before = first.update(active[:cut], labels[:cut])
    then = OnlineLr.of(first.config, {k: _read_only(v) for k, v in first.arrays().items()})
    np.testing.assert_array_equal(np.append(before, then.update(active[cut:], labels[cut:])), said)
    np.testing.assert_array_equal(then.weight, whole.weight)


def _read_only(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    x = x.copy()
    x.flags.writeable = False
    return x


def test_it_says_before_it_learns_and_it_learns() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=40)
    active = random.integers(0, 40, (6_000, 3)).astype(np.int32)
    chance = 1 / (1 + np.exp(-truth[active].sum(axis=1)))
    labels = random.random(len(active)) < chance
    lr = OnlineLr(OnlineLrConfig(alpha=0.3), np.zeros(40))
    said = lr.update(active, labels)
    assert said[0] == 0.5
    assert log_loss(labels[-2000:], said[-2000:]) < log_loss(labels[:500], said[:500]) - 0.05
    np.testing.assert_allclose(lr.predict(active)[-2000:], chance[-2000:], atol=0.25)


def test_certain_labels_stay_finite() -> None:
    lr = OnlineLr(OnlineLrConfig(alpha=100.0), np.zeros(1))
    said = lr.update(np.zeros((2_000, 1), np.int32), np.ones(2_000), np.full(2_000, 1e6))
    assert np.isfinite(said).all()
    assert np.isfinite(lr.weight).all()
    assert OnlineLr(OnlineLrConfig(), np.array([1e9])).predict(np.zeros((1, 1), np.int32))[0] == pytest.approx(1)


def test_rows_nothing_can_be_learnt_from() -> None:
    lr = OnlineLr(OnlineLrConfig(), np.zeros(3))
    assert lr.update(np.zeros((0, 2), np.int32), np.zeros(0)).shape == (0,)
    for labels, weight, match in (
        ([1, 0.5], [1, 1], r"labels \[0.5\]"),
        ([1, np.nan], [1, 1], "labels"),
        ([1, 0], [1, -1], "negative or not finite"),
        ([1, 0], [1, np.inf], "negative or not finite"),
        ([1], [1, 1], "1 labels"),
    ):
        with pytest.raises(DataError, match=match):
            lr.update(ACTIVE[:2], np.array(labels), np.array(weight))
    with pytest.raises(DataError, match="below 3"):
        lr.update(np.array([[0, 3]], np.int32), np.ones(1))
    with pytest.raises(ArtifactError, match="lr.squares"):
        OnlineLr.of(lr.config, {"lr.start": np.zeros(3), "lr.gradient": np.zeros(3)})
    with pytest.raises(ArtifactError, match="3, 2 and 3"):
        OnlineLr.of(lr.config, {**lr.arrays(), "lr.gradient": np.zeros(2)})
