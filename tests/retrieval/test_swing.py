from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.channel import crowd, interactions
from feedmill.core.batches import Interactions
from feedmill.retrieval.swing import SwingChannel, SwingConfig

EXACT = {"top_k": 100, "max_items_per_user": 0, "max_users_per_item": 2000}


def build(log: Interactions, seed: int = 0, **parameters: Any) -> dict[str, NDArray[Any]]:
    return dict(SwingChannel.build(log, None, SwingConfig(**{**EXACT, **parameters}), seed).arrays)


def dense(arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The stored lists as a matrix [N, N]."""
    n = len(arrays["neighbours"])
    out = np.zeros((n, n))
    np.put_along_axis(out, arrays["neighbours"].astype(np.int64), arrays["sims"].astype(np.float64), axis=1)
    out[:, 0] = 0
    return out


def brute(log: Interactions, config: SwingConfig) -> NDArray[np.float64]:
    """The formula of SwingChannel on sets."""
    items_of = {u: set(log.item[log.user == u].tolist()) for u in range(1, log.n_users)}
    users_of = {i: set(log.user[log.item == i].tolist()) for i in range(1, log.n_items)}
    out = np.zeros((log.n_items, log.n_items))
    for a, b in combinations(range(1, log.n_items), 2):
        for u, v in combinations(sorted(users_of[a] & users_of[b]), 2):
            weight = (len(items_of[u]) * len(items_of[v])) ** -config.user_exponent
            both = weight / (config.alpha + len(items_of[u] & items_of[v]))
            out[a, b] += both
            out[b, a] += both
    n = np.maximum([len(users_of.get(i, ())) for i in range(log.n_items)], 1)
    return out / n**config.item_exponent


@st.composite
def logs(draw: st.DrawFn) -> Interactions:
    n_users, n_items = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    pair = st.tuples(st.integers(1, n_users - 1), st.integers(1, n_items - 1))
    return interactions(draw(st.lists(pair, min_size=1, max_size=60)), n_users, n_items)


@settings(max_examples=60)
@given(
    logs(),
    st.fixed_dictionaries(
        {},
        optional={
            "alpha": st.sampled_from([0.0, 1.0, 10.0]),
            "user_exponent": st.sampled_from([0.0, 0.25]),
            "item_exponent": st.sampled_from([0.3, 1.0]),
        },
    ),
)
def test_equals_brute_force(log: Interactions, parameters: dict[str, Any]) -> None:
    expected = brute(log, SwingConfig(**parameters))
    np.testing.assert_allclose(dense(build(log, **parameters)), expected, rtol=1e-5, atol=1e-7)


def test_a_pair_by_hand() -> None:
    """Users 1 and 2 share items 1 and 2, user 1 has a third one: 1/sqrt(3) 1/sqrt(2) / (1 + 2)."""
    log = interactions([(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)], 3, 4)
    arrays = build(log)
    assert dense(arrays)[1, 2] == pytest.approx(1 / np.sqrt(6) / 3)
    assert arrays["neighbours"][3].tolist() == [0] * 100, "one user is no pair"


@pytest.mark.parametrize("user_exponent", [0.0, 0.5])
def test_a_clique_counts_less_than_strangers(user_exponent: float) -> None:
    """Items 1 and 2 are liked by five who like the same ten things, items 11 and 12 by five with nothing else alike."""
    clique = [(user, item) for user in range(1, 6) for item in range(1, 11)]
    strangers = [(user, item) for user in range(6, 11) for item in (11, 12)]
    others = [(user, 20 + 8 * (user - 6) + n) for user in range(6, 11) for n in range(8)]
    sims = dense(build(interactions(clique + strangers + others, 11, 70), user_exponent=user_exponent))
    assert sims[11, 12] > 2 * sims[1, 2] > 0


def test_equal_similarities_keep_the_lower_rows() -> None:
    log = interactions([(u, i) for u in (1, 2, 3) for i in range(1, 60)], 4, 60)
    assert build(log, top_k=3)["neighbours"][7].tolist() == [1, 2, 3]


def test_more_candidates_than_fit_are_cut_to_the_best() -> None:
    draw = np.random.default_rng(3)
    log = interactions([(int(u), int(i)) for u, i in draw.integers(1, 80, (1500, 2))], 80, 80)
    arrays, expected = build(log, top_k=5), brute(log, SwingConfig())
    for item in range(1, 80):
        best = np.sort(expected[item])[::-1][:5]
        np.testing.assert_allclose(arrays["sims"][item], best, rtol=1e-5)
        np.testing.assert_allclose(expected[item, arrays["neighbours"][item]], best, rtol=1e-5)


def test_scaled_rows_sum_to_1() -> None:
    sums = build(crowd(), scale_rows=True)["sims"].sum(1)
    np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-5)


def test_caps_are_seeded_and_reported_with_the_pairs_they_cost() -> None:
    log = crowd()
    whole, capped = build(log), build(log, max_items_per_user=6, max_users_per_item=3)
    assert whole["n_capped"].tolist() == [0, 0]
    assert whole["n_pairs_dropped"].tolist() == [0]
    by_user, by_item = np.bincount(log.user), np.bincount(log.item)
    assert capped["n_capped"][0] == np.maximum(by_user - 6, 0).sum()
    n_left = len(log) - capped["n_capped"].sum()
    assert n_left <= 3 * (by_item > 0).sum()
    assert (by_item * (by_item - 1) // 2).sum() - 3 * (by_item > 0).sum() <= capped["n_pairs_dropped"][0]
    again = build(log, max_items_per_user=6, max_users_per_item=3)
    other = build(log, seed=5, max_items_per_user=6, max_users_per_item=3)
    np.testing.assert_array_equal(capped["sims"], again["sims"])
    assert (capped["sims"] != other["sims"]).any()


def test_the_cap_samples_pairs_of_users_and_keeps_all_their_items() -> None:
    """Of 50 users that all like 4 items, 10 are paired: 45 pairs for every pair of items."""
    log = interactions([(u, i) for u in range(1, 51) for i in range(1, 5)], 51, 5)
    arrays = build(log, max_users_per_item=10, user_exponent=0)
    assert dense(arrays)[1, 2] == pytest.approx(45 / (1 + 4))
    assert arrays["n_pairs_dropped"][0] == 4 * (50 * 49 // 2 - 45)
    assert arrays["n_capped"].tolist() == [0, 160]
