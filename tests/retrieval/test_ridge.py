"""Every item explained by its neighbours together."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import Interactions
from feedmill.core.clock import rng
from feedmill.retrieval.itemcf import ItemCFChannel, ItemCFConfig
from feedmill.retrieval.ridge import RidgeChannel, RidgeConfig, turn

N_USERS, N_ITEMS = 60, 13


def log(seed: int = 1) -> Interactions:
    cells = rng(seed, "likes").random((N_USERS, N_ITEMS)) < 0.5
    cells[0], cells[:, 0] = False, False
    user, item = (x.astype(np.int32) for x in np.nonzero(cells))
    like = rng(seed, "strength").choice([1.0, 2.0], len(user)).astype(np.float32)
    return Interactions(user, item, like, np.arange(len(user)), N_USERS, N_ITEMS)


def matrix(likes: Interactions) -> np.ndarray:
    x = np.zeros((likes.n_users, likes.n_items))
    x[likes.user, likes.item] = likes.like
    return x


def lists(likes: Interactions, config: RidgeConfig) -> np.ndarray:
    """[N, N] weights, of the item in the history x the candidate."""
    part = RidgeChannel.build(likes, None, config, 0)
    out = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        out[item, part.arrays["neighbours"][item]] = part.arrays["sims"][item]
    out[:, 0] = 0
    return out


def test_with_all_items_it_is_ease() -> None:
    x, l2 = matrix(log())[:, 1:], 3.0
    precision = np.linalg.inv(x.T @ x + l2 * np.eye(N_ITEMS - 1))
    ease = -precision / np.diag(precision)  # Steck 2019, equation 8
    np.fill_diagonal(ease, 0)
    got = lists(log(), RidgeConfig(n_regressors=100, l2=l2))
    np.testing.assert_allclose(got[1:, 1:], ease, atol=1e-6)


def test_the_nearest_few_are_fitted_together_and_nothing_else() -> None:
    likes, k = log(2), 4
    x = matrix(likes)
    near = ItemCFChannel.build(likes, None, ItemCFConfig(top_k=k), 0).arrays["neighbours"]
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(1, N_ITEMS):
        some = near[item][near[item] > 0]
        expected[some, item] = np.linalg.solve(x[:, some].T @ x[:, some] + np.eye(len(some)), x[:, some].T @ x[:, item])
    np.testing.assert_allclose(lists(likes, RidgeConfig(n_regressors=k, l2=1.0)), expected, atol=1e-6)


def test_what_neighbours_have_in_common_counts_once() -> None:
    """Items 2 and 3 are liked by the same people: ItemCF counts them twice, here they share one weight."""
    user = np.repeat(np.arange(1, 21, dtype=np.int32), 3)
    item = np.tile(np.array([1, 2, 3], np.int32), 20)
    likes = Interactions(user, item, np.ones(60, np.float32), np.arange(60), 21, 4)
    part = RidgeChannel.build(likes, None, RidgeConfig(l2=0.01), 0)
    to_one = part.arrays["sims"][2:][part.arrays["neighbours"][2:] == 1]
    np.testing.assert_allclose(to_one, 0.5, atol=1e-3)


def test_a_list_keeps_its_largest_magnitudes() -> None:
    nearest = np.array([[0, 0], [3, 0], [3, 1], [1, 2]], np.int32)
    weights = np.array([[0, 0], [0.2, 0], [-0.5, 0.1], [0.3, 0.0]], np.float32)
    neighbours, sims = turn(nearest, weights, 2)
    assert neighbours.tolist() == [[0, 0], [3, 2], [0, 0], [2, 1]]
    np.testing.assert_allclose(sims[3], [-0.5, 0.2])


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_popular_candidates_are_divided_by_their_users(exponent: float) -> None:
    likes = log(3)
    plain = lists(likes, RidgeConfig(n_regressors=5))
    users = np.maximum(np.bincount(likes.item, minlength=N_ITEMS), 1)
    got = lists(likes, RidgeConfig(n_regressors=5, item_exponent=exponent))
    np.testing.assert_allclose(got, plain / users[None, :] ** exponent, rtol=1e-5)


@pytest.mark.parametrize("n_items", [1, 2])
def test_hardly_any_items(n_items: int) -> None:
    one = np.ones(3, np.int32)
    likes = Interactions(
        np.arange(1, 4, dtype=np.int32), one[:3] * (n_items - 1), one.astype(np.float32), one * 0, 4, n_items
    )
    part = RidgeChannel.build(likes, None, RidgeConfig(), 0)
    assert not part.arrays["neighbours"].any()
