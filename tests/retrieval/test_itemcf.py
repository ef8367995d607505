from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.channel import REQUEST, crowd, interactions, viewer
from feedmill.core.batches import Interactions
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.retrieval.itemcf import ItemCFChannel, ItemCFConfig

ALL = {"top_k": 100, "max_items_per_user": 0}


def build(log: Interactions, seed: int = 0, **parameters: Any) -> dict[str, NDArray[Any]]:
    return dict(ItemCFChannel.build(log, None, ItemCFConfig(**{**ALL, **parameters}), seed).arrays)


def dense(arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The stored lists as a matrix [N, N]."""
    n = len(arrays["neighbours"])
    out = np.zeros((n, n))
    np.put_along_axis(out, arrays["neighbours"].astype(np.int64), arrays["sims"].astype(np.float64), axis=1)
    out[:, 0] = 0
    return out


def brute(log: Interactions, config: ItemCFConfig) -> NDArray[np.float64]:
    """The formula of ItemCFChannel on dense matrices."""
    like = np.zeros((log.n_users, log.n_items))
    like[log.user, log.item] = log.like
    there = like > 0
    activity = np.maximum(there.sum(1), 1)
    weight = activity**-config.user_exponent / (np.log(1 + activity) if config.iuf else 1)
    shared = there.T.astype(float) @ there
    sums = like.T @ (weight[:, None] * like)
    n = there.sum(0).astype(float) if config.norm == "count" else np.diag(sums).copy()
    n[n == 0] = np.inf
    sim = sums / np.outer(n**config.history_exponent, n**config.item_exponent)
    if config.shrinkage:
        sim *= shared / (shared + config.shrinkage)
    np.fill_diagonal(sim, 0)
    return sim


@st.composite
def logs(draw: st.DrawFn) -> Interactions:
    n_users, n_items = draw(st.integers(2, 8)), draw(st.integers(2, 12))
    pair = st.tuples(st.integers(1, n_users - 1), st.integers(1, n_items - 1))
    log = interactions(draw(st.lists(pair, min_size=1, max_size=60)), n_users, n_items)
    likes = draw(st.lists(st.sampled_from([0, 0.5, 1, 2, 5]), min_size=len(log), max_size=len(log)))
    return replace(log, like=np.array(likes, np.float32))


@settings(max_examples=60)
@given(
    logs(),
    st.fixed_dictionaries(
        {},
        optional={
            "iuf": st.booleans(),
            "user_exponent": st.sampled_from([0.0, 0.8]),
            "norm": st.sampled_from(["weighted", "count"]),
            "item_exponent": st.sampled_from([0.0, 0.3, 1.0]),
            "history_exponent": st.sampled_from([0.0, 0.5]),
            "shrinkage": st.sampled_from([0.0, 3.0]),
        },
    ),
)
def test_equals_brute_force(log: Interactions, parameters: dict[str, Any]) -> None:
    expected = brute(log, ItemCFConfig(**parameters))
    np.testing.assert_allclose(dense(build(log, **parameters)), expected, rtol=2e-5, atol=1e-7)


def test_equals_brute_force_where_rows_are_long() -> None:
    """More neighbours than 4 top_k, so that rows are cut by the histogram first."""
    draw = np.random.default_rng(3)
    log = interactions([(int(u), int(i)) for u, i in draw.integers(1, 150, (6000, 2))], 150, 150)
    log = replace(log, like=draw.exponential(size=len(log)).astype(np.float32))
    arrays, expected = build(log, top_k=6), brute(log, ItemCFConfig())
    for item in range(1, 150):
        best = np.sort(expected[item])[::-1][:6]
        np.testing.assert_allclose(arrays["sims"][item], best, rtol=1e-5)
        np.testing.assert_allclose(expected[item, arrays["neighbours"][item]], best, rtol=1e-5)


@given(logs())
def test_cosine_is_within_0_and_1_and_symmetric(log: Interactions) -> None:
    arrays = build(log, iuf=True)
    assert (arrays["sims"] >= 0).all()
    assert (arrays["sims"] <= 1).all()
    np.testing.assert_array_equal(dense(arrays), dense(arrays).T)
    assert (arrays["neighbours"] != np.arange(log.n_items)[:, None])[1:].all(), "an item is not its own neighbour"


def test_binary_similarity_is_the_overlap_of_users() -> None:
    likes_a, likes_b = [1, 2, 3, 4], [3, 4, 5, 6, 7, 8, 9, 10, 11]
    log = interactions([*((u, 1) for u in likes_a), *((u, 2) for u in likes_b)], 12, 3)
    assert dense(build(log))[1, 2] == pytest.approx(2 / np.sqrt(4 * 9))


def test_items_liked_alike_have_similarity_1() -> None:
    log = interactions([(1, 1), (1, 2), (2, 1), (2, 2)], 3, 3)
    log = replace(log, like=np.array([3, 3, 0.1, 0.1], np.float32))
    assert dense(build(log, iuf=True))[1, 2] == pytest.approx(1)


def test_equal_similarities_keep_the_lower_rows() -> None:
    log = interactions([(1, i) for i in range(1, 60)], 2, 60)
    assert build(log, top_k=3)["neighbours"][7].tolist() == [1, 2, 3]


def test_scaled_rows_sum_to_1() -> None:
    arrays = build(crowd(), scale_rows=True)
    sums = arrays["sims"].sum(1)
    np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-5)


def test_caps_are_seeded_reported_and_held() -> None:
    log = crowd()
    whole, capped = build(log), build(log, max_items_per_user=4, max_users_per_item=3)
    assert whole["n_capped"].tolist() == [0, 0]
    by_user = np.bincount(log.user)
    assert capped["n_capped"][0] == np.maximum(by_user - 4, 0).sum()
    assert capped["n_capped"][1] > 0
    again = build(log, max_items_per_user=4, max_users_per_item=3)
    other = build(log, seed=5, max_items_per_user=4, max_users_per_item=3)
    np.testing.assert_array_equal(capped["neighbours"], again["neighbours"])
    assert (capped["neighbours"] != other["neighbours"]).any()
    assert dense(capped).max() <= 1


def test_popular_items_still_overlap_when_their_users_are_sampled() -> None:
    """Two items of the same 1000 users have similarity 1; sampled apart, 50 of each would share 2 or 3."""
    log = interactions([(u, i) for u in range(1, 1001) for i in (1, 2)], 1001, 3)
    assert dense(build(log, max_users_per_item=50))[1, 2] == pytest.approx(1)


def test_every_recent_item_whose_list_holds_the_candidate_counts() -> None:
    """Two clicked items each share their one user with item 3: their similarities add up."""
    log = interactions([(1, 1), (1, 3), (2, 2), (2, 3)], 3, 4)
    channel = ItemCFChannel("itemcf", ItemCFConfig(), ItemCFChannel.build(log, None, ItemCFConfig(), 0), state=None)
    batch = channel.fetch(REQUEST, viewer(3, clicked=[1, 2]), 1)
    assert batch.item.tolist() == [3]
    assert batch.found[0, 0] == pytest.approx(2 / np.sqrt(2))


def test_rows_beyond_the_tables_are_refused() -> None:
    log = replace(crowd(), n_items=10)
    with pytest.raises(DataError, match="item rows 1 to 39"):
        ItemCFChannel.build(log, None, ItemCFConfig(), 0)


def test_unknown_lane_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'no lane "click".*did you mean "clicked"'):
        convert({"lanes": {"click": 1.0}}, ItemCFConfig, "retrieval.itemcf")
