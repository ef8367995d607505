from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.classification import auc, auc_by_group, gauc, log_loss, normalized_entropy

samples = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(-4, 4)), max_size=40)


def brute_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        return float("nan")
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return float(wins.mean())


def columns(drawn: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(drawn, np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.float32)


def test_known_answers() -> None:
    assert auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert auc(np.array([0, 1]), np.array([0.2, 0.9])) == 1
    assert auc(np.array([1, 0]), np.array([0.2, 0.9])) == 0
    assert auc(np.array([1, 0, 1, 0]), np.full(4, 0.5)) == 0.5


@given(samples)
def test_auc_is_the_share_of_pairs_in_order(drawn: list[tuple[int, int, int]]) -> None:
    _, labels, scores = columns(drawn)
    assert auc(labels, scores) == pytest.approx(brute_auc(labels, scores), nan_ok=True)


@given(samples)
def test_auc_depends_on_order_alone(drawn: list[tuple[int, int, int]]) -> None:
    _, labels, scores = columns(drawn)
    assert auc(labels, np.exp(scores) * 3 - 7) == pytest.approx(auc(labels, scores), nan_ok=True)
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores), nan_ok=True)


@given(samples)
def test_gauc_is_the_weighted_mean_of_the_users(drawn: list[tuple[int, int, int]]) -> None:
    user, labels, scores = columns(drawn)
    per = [
        (brute_auc(labels[user == u], scores[user == u]), int((user == u).sum()))
        for u in np.unique(user)
        if 0 < labels[user == u].mean() < 1
    ]
    expected = sum(a * n for a, n in per) / sum(n for _, n in per) if per else float("nan")
    assert gauc(user, labels, scores) == pytest.approx(expected, nan_ok=True)
    assert auc_by_group(user, labels, scores).n.sum() == sum(n for _, n in per)


def test_gauc_gives_no_credit_for_telling_users_apart() -> None:
    user = np.repeat([1, 2], 4)
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    scores = np.repeat([0.9, 0.1], 4)
    assert auc(labels, scores) == 0.75
    assert gauc(user, labels, scores) == 0.5


def test_one_class_has_no_auc() -> None:
    assert np.isnan(auc(np.ones(3, int), np.arange(3)))
    assert np.isnan(auc(np.empty(0, int), np.empty(0)))
    assert np.isnan(gauc(np.array([1, 2]), np.array([0, 1]), np.array([0.1, 0.2])))


def test_log_loss() -> None:
    assert log_loss(np.array([1, 0]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert log_loss(np.array([1, 0]), np.array([0.8, 0.1])) == pytest.approx(-(np.log(0.8) + np.log(0.9)) / 2)
    assert np.isfinite(log_loss(np.array([1]), np.array([0.0])))
    twice = log_loss(np.array([1, 1, 0]), np.array([0.8, 0.8, 0.1]))
    assert log_loss(np.array([1, 0]), np.array([0.8, 0.1]), weight=np.array([2, 1])) == pytest.approx(twice)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda y: 0 < sum(y) < len(y)))
def test_normalized_entropy_of_the_base_rate_is_one(labels: list[int]) -> None:
    y = np.array(labels)
    rate = np.full(len(y), y.mean())
    assert normalized_entropy(y, rate) == pytest.approx(1)
    sharper = np.where(y == 1, (1 + rate) / 2, rate / 2)
    assert normalized_entropy(y, sharper) < 1
    assert normalized_entropy(y, np.where(y == 1, rate / 2, (1 + rate) / 2)) > 1


def test_normalized_entropy_needs_both_classes() -> None:
    assert np.isnan(normalized_entropy(np.zeros(3, int), np.full(3, 0.1)))


def test_refusals() -> None:
    with pytest.raises(DataError, match="2 labels for 3 scores"):
        auc(np.array([0, 1]), np.zeros(3))
    with pytest.raises(DataError, match="1 of 2 scores are NaN"):
        auc(np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(DataError, match="0 and 1"):
        auc(np.array([0, 2]), np.array([0.1, 0.2]))
    with pytest.raises(DataError, match="sigmoid"):
        log_loss(np.array([0, 1]), np.array([-1.2, 3.4]))
    with pytest.raises(DataError, match="1 groups"):
        gauc(np.array([1]), np.array([0, 1]), np.array([0.1, 0.2]))
