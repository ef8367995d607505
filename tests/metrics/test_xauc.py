"""XAUC: by hand, and pairs by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.classification import auc
from feedmill.metrics.xauc import user_xauc, xauc, xauc_by_user

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)


def columns(drawn: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    actual, predicted, user = (np.array(c) for c in zip(*drawn, strict=True))
    return actual / 2, predicted / 3, user


def by_pairs(actual: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    right = pairs = 0.0
    for i, j in combinations(range(len(actual)), 2):
        if actual[i] != actual[j]:
            w = weight[i] * weight[j]
            pairs += w
            said = (predicted[i] - predicted[j]) * (actual[i] - actual[j])
            right += w * (1.0 if said > 0 else 0.5 if said == 0 else 0.0)
    return right / pairs if pairs else float("nan")


def test_xauc_by_hand() -> None:
    actual = np.array([1.0, 2.0, 3.0, 3.0])
    assert xauc(actual, actual) == 1
    assert xauc(actual, -actual) == 0
    assert xauc(actual, np.ones(4)) == 0.5
    # five pairs differ in seconds; (1, 2) is turned round, (2, 3 first) is a tie, three are right
    assert xauc(actual, np.array([2.0, 1.0, 1.0, 5.0])) == pytest.approx((0 + 0 + 1 + 0.5 + 1) / 5)
    assert np.isnan(xauc(np.ones(3), np.arange(3)))
    assert np.isnan(xauc(np.empty(0), np.empty(0)))


@given(rows, st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_xauc_is_the_share_of_all_pairs(drawn: list[tuple[int, int, int]], w: list[int]) -> None:
    actual, predicted, _ = columns(drawn)
    weight = np.array(w[: len(actual)], np.float64)
    np.testing.assert_allclose(xauc(actual, predicted), by_pairs(actual, predicted, np.ones(len(actual))))
    np.testing.assert_allclose(xauc(actual, predicted, weight), by_pairs(actual, predicted, weight))
    again = np.repeat(np.arange(len(actual)), weight.astype(int))
    np.testing.assert_allclose(xauc(actual, predicted, weight), xauc(actual[again], predicted[again]))


@given(rows)
def test_xauc_sees_order_alone_and_is_auc_for_two_values(drawn: list[tuple[int, int, int]]) -> None:
    actual, predicted, _ = columns(drawn)
    np.testing.assert_allclose(xauc(actual, np.exp(predicted)), xauc(actual, predicted))
    np.testing.assert_allclose(xauc(actual, -predicted), 1 - xauc(actual, predicted))
    two = (actual > 1).astype(np.float64)
    np.testing.assert_allclose(xauc(two, predicted), auc(two, predicted))


@given(rows)
def test_each_user_alone(drawn: list[tuple[int, int, int]]) -> None:
    actual, predicted, user = columns(drawn)
    per = xauc_by_user(user, actual, predicted)
    alone = {u: by_pairs(actual[user == u], predicted[user == u], np.ones((user == u).sum())) for u in set(user)}
    known = sorted(u for u, value in alone.items() if not np.isnan(value))
    assert per.user.tolist() == known
    np.testing.assert_allclose(per.xauc, [alone[u] for u in known])
    assert per.n.tolist() == [(user == u).sum() for u in known]
    if known:
        np.testing.assert_allclose(user_xauc(user, actual, predicted, "users"), per.xauc.mean())
        np.testing.assert_allclose(user_xauc(user, actual, predicted), (per.xauc * per.n).sum() / per.n.sum())
    else:
        assert np.isnan(user_xauc(user, actual, predicted))


def test_users_who_watch_more_are_no_credit_user_by_user() -> None:
    user = np.array([0, 0, 1, 1])
    actual, predicted = np.array([1.0, 2.0, 11.0, 12.0]), np.array([2.0, 1.0, 12.0, 11.0])
    assert xauc(actual, predicted) == pytest.approx(4 / 6)
    assert user_xauc(user, actual, predicted) == 0


def test_pairs_weigh_by_how_many_there_are() -> None:
    user = np.array([0, 0, 1, 1, 1])
    actual, predicted = np.array([1, 2, 1, 2, 3]), np.array([1, 2, 3, 2, 1])
    found = [user_xauc(user, actual, predicted, weigh) for weigh in ("rows", "pairs", "users")]
    np.testing.assert_allclose(found, [2 / 5, 1 / 4, 1 / 2])


def test_a_hundred_thousand_rows_are_counted_not_paired() -> None:
    random = np.random.default_rng(2)
    actual = random.normal(size=100_000)
    predicted = actual + random.normal(size=100_000)  # correlation 1/sqrt 2: 1/2 + asin(1/sqrt 2)/pi
    assert xauc(actual, predicted) == pytest.approx(0.75, abs=2e-3)


def test_refusals() -> None:
    two = np.ones(2)
    with pytest.raises(DataError, match="2 outcomes for 1"):
        xauc(two, np.ones(1))
    with pytest.raises(DataError, match="1 predictions are not finite"):
        xauc(two, np.array([1, np.nan]))
    with pytest.raises(DataError, match="2 outcomes are not finite"):
        xauc(np.full(2, np.inf), two)
    with pytest.raises(DataError, match="1 users for 2 rows"):
        xauc_by_user(np.zeros(1), two, two)
