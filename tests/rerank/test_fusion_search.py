from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.metrics.calibrators import sigmoid
from feedmill.rerank.fusion_search import Logged, SearchConfig, _Judge, search, target_of

HEADS = ("click", "like", "share")
QUICK = SearchConfig(trials=40)


def shown(n_users: int = 200, each: int = 25, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Users, and probabilities of three heads of different sizes."""
    random = rng(seed, "shown")
    n = n_users * each
    z = random.normal(0, 1, (n, 3)) + np.array([-1.0, -2.5, -3.5])
    return np.repeat(np.arange(n_users), each), sigmoid(z)


def test_planted_weights_are_found() -> None:
    user, p = shown()
    worth = np.array([0.1, 1.0, 0.5])
    found = search(Logged(HEADS, p, user, p @ worth), QUICK, seed=0)
    assert found.is_better
    assert found.found.mean > 0.995
    weights = np.array(list(found.weights.values()))
    np.testing.assert_allclose(weights / weights[1], worth, rtol=0.35)
    value, truth = p @ weights, p @ worth
    assert np.corrcoef(value, truth)[0, 1] > 0.995


def test_planted_weights_are_found_in_what_happened_by_chance() -> None:
    """Likes and shares are worth a lot and rare; equal weights follow the clicks."""
    user, p = shown(600, 40)
    happened = rng(0, "happened").random(p.shape) < p
    found = search(Logged(HEADS, p, user, happened @ np.array([0.0, 1.0, 1.0])), QUICK, seed=0)
    assert found.is_better
    assert found.gain.mean > 0.02
    assert found.weights["click"] < 0.2 * max(found.weights.values())


@pytest.mark.parametrize("form", ["sum", "product"])
def test_both_forms_are_searched(form: str) -> None:
    user, p = shown(120)
    target = p @ [0, 1, 0]
    found = search(Logged(HEADS, p, user, target), SearchConfig(trials=30, form=form), seed=1)
    assert found.is_better
    assert found.found.mean > 0.98
    assert found.weights["like"] == 1


def test_where_nothing_is_to_be_gained_nothing_is() -> None:
    """Equal weights are the best there is: over ten seeds chance must not look like a gain."""
    claimed, gains = 0, []
    for seed in range(10):
        user, p = shown(80, 20, seed)
        happened = rng(seed, "happened").random(p.shape) < p
        found = search(Logged(HEADS, p, user, happened.sum(axis=1).astype(float)), SearchConfig(trials=15), seed)
        claimed += found.is_better
        gains.append(found.gain.mean)
        if not found.is_better:
            assert set(found.weights.values()) == {1.0}
    assert claimed <= 1
    assert np.mean(gains) < 0.005


def test_noise_is_not_fitted() -> None:
    claimed = 0
    for seed in range(10):
        user, p = shown(60, 20, seed)
        target = rng(seed, "noise").exponential(1, len(user))
        claimed += search(Logged(HEADS, p, user, target), SearchConfig(trials=15), seed).is_better
    assert claimed <= 1


def test_the_users_that_judge_have_no_say() -> None:
    """Whatever came of the judging users' rows, the same weights are chosen."""
    user, p = shown(100)
    worth, other = p @ [0, 1, 0], p @ [1, 0, 0]
    users = np.unique(user)
    judges = users[rng(0, "fusion", "users").random(len(users)) < 0.5]
    mixed = np.where(np.isin(user, judges), other, worth)
    ours, theirs = (search(Logged(HEADS, p, user, t), QUICK, seed=0) for t in (worth, mixed))
    assert ours.tried == theirs.tried
    assert ours.is_better
    assert not theirs.is_better


def test_ndcg_by_hand_and_its_range() -> None:
    rows = Logged(
        ("a",), np.array([[0.9], [0.5], [0.1], [0.3], [0.2]]), np.array([0, 0, 0, 7, 7]), np.array([0.0, 2, 1, 1, 0])
    )
    first, second = _Judge(rows, QUICK, 0).ndcg(np.ones(1))
    discount = 1 / np.log2([2, 3, 4])
    assert first == pytest.approx((discount @ [0, 2, 1]) / (discount @ [2, 1, 0]))
    assert second == 1


def test_the_same_seed_finds_the_same() -> None:
    user, p = shown(60)
    rows = Logged(HEADS, p, user, p @ [1, 2, 3])
    assert search(rows, QUICK, 3) == search(rows, QUICK, 3)


def test_a_target_is_made_of_labels() -> None:
    labels, mask = np.array([[1, 30.0], [0, 5.0]]), np.array([[True, True], [True, False]])
    heads = ("like", "watch_s")
    assert target_of(labels, mask, heads, {"like": 5, "watch_s": 0.1}).tolist() == [8, 0]
    with pytest.raises(ConfigError, match='no label "lik"'):
        target_of(labels, mask, heads, {"lik": 1})
    with pytest.raises(ConfigError, match="like = -1"):
        target_of(labels, mask, heads, {"like": -1})


def test_missing_probabilities_are_left_out() -> None:
    user, p = shown(100)
    rows = Logged(HEADS, p, user, p @ [0, 1, 0])
    broken = p.copy()
    broken[::50, 0] = np.nan
    broken[1::50, 1] = np.inf
    found = search(Logged(HEADS, broken, user, rows.target), QUICK, 0)
    assert found.is_better


def test_refusals() -> None:
    user, p = shown(100)
    with pytest.raises(DataError, match="0 users with rows that differ"):
        search(Logged(HEADS, p, user, np.ones(len(user))), QUICK, 0)
    with pytest.raises(DataError, match="10 users"):
        search(Logged(HEADS, p[:250], user[:250], p[:250, 0]), QUICK, 0)
    with pytest.raises(DataError, match="below 0"):
        search(Logged(HEADS, p, user, -p[:, 0]), QUICK, 0)
    with pytest.raises(DataError, match="shapes"):
        search(Logged(HEADS[:2], p, user, p[:, 0]), QUICK, 0)
    with pytest.raises(DataError, match="users"):
        search(Logged(HEADS, np.zeros((0, 3)), np.zeros(0, int), np.zeros(0)), QUICK, 0)
    with pytest.raises(ConfigError):
        convert({"form": "mean"}, SearchConfig)
