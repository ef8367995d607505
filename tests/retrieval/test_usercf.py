from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.channel import REQUEST, crowd, interactions, viewer
from feedmill.core.batches import Interactions, UserColumns
from feedmill.retrieval.usercf import Tastes, UserCFChannel, UserCFConfig, neighbours_of

EXACT = {"top_k": 100, "max_items_per_user": 0, "max_users_per_item": 0}
AUTHOR = np.array([0, 1, 1, 2, 2, 2, 0], np.int32)  # of items 0 to 6
CATALOGUE = SimpleNamespace(catalogue=SimpleNamespace(author=AUTHOR))


def build(log: Interactions, seed: int = 0, **parameters: Any) -> dict[str, NDArray[Any]]:
    return dict(UserCFChannel.build(log, CATALOGUE, UserCFConfig(**{**EXACT, **parameters}), seed).arrays)


def channel(log: Interactions, **parameters: Any) -> UserCFChannel:
    config = UserCFConfig(**{**EXACT, **parameters})
    return UserCFChannel("usercf", config, UserCFChannel.build(log, CATALOGUE, config, 0), None)


def answer(of: UserCFChannel, user: UserColumns, limit: int = 100) -> dict[int, float]:
    batch = of.fetch(REQUEST, user, limit)
    return dict(zip(batch.item.tolist(), batch.found[:, 0].tolist(), strict=True))


def dense(arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The stored lists of users as a matrix [U, U]."""
    n = len(arrays["peers"])
    out = np.zeros((n, n))
    np.put_along_axis(out, arrays["peers"].astype(np.int64), arrays["sims"].astype(np.float64), axis=1)
    out[:, 0] = 0
    return out


def brute(there: NDArray[np.bool_], config: UserCFConfig) -> NDArray[np.float64]:
    """The formula of UserCFChannel for users x items (or authors)."""
    n_of_item, n_of_user = np.maximum(there.sum(0), 1), np.maximum(there.sum(1), 1)
    weight = {"log": 1 / np.log(1 + n_of_item), "none": np.ones(len(n_of_item)),
              "power": n_of_item**-config.discount_exponent}[config.discount]  # fmt: skip
    sim = (there * weight) @ there.T.astype(float) / np.sqrt(np.outer(n_of_user, n_of_user))
    np.fill_diagonal(sim, 0)
    return sim


@st.composite
def logs(draw: st.DrawFn) -> Interactions:
    n_users = draw(st.integers(2, 9))
    pair = st.tuples(st.integers(1, n_users - 1), st.integers(1, 6))
    return interactions(draw(st.lists(pair, min_size=1, max_size=50)), n_users, 7)


@settings(max_examples=60)
@given(logs(), st.sampled_from(["log", "none", "power"]), st.sampled_from(["items", "authors"]))
def test_similarities_equal_brute_force(log: Interactions, discount: Any, similarity: Any) -> None:
    there = np.zeros((log.n_users, 7), bool)
    there[log.user, log.item if similarity == "items" else AUTHOR[log.item]] = True
    there[:, 0] = False
    expected = brute(there, UserCFConfig(discount=discount))
    found = dense(build(log, discount=discount, similarity=similarity))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_similarity_times_like_is_added_up() -> None:
    """Four neighbours at .9, .5, .5 and .3 like the candidate 0, 4, 2 and 0: 0.5 x 4 + 0.5 x 2 = 3."""
    log = replace(interactions([(2, 1), (3, 9), (4, 9), (5, 2)], 6, 10), like=np.array([1, 4, 2, 1], np.float32))
    of = channel(log)
    neighbours, sims = np.array([2, 3, 4, 5], np.int32), np.array([0.9, 0.5, 0.5, 0.3], np.float32)
    rows, scores = of._score(neighbours, sims, 10)
    assert dict(zip(rows.tolist(), scores.tolist(), strict=True))[9] == pytest.approx(3.0)


def test_items_come_from_users_alike() -> None:
    """User 1 shares item 1 with user 2, and nothing with user 3."""
    log = interactions([(1, 1), (1, 2), (2, 1), (2, 3), (3, 4)], 4, 5)
    found = answer(channel(log, discount="none"), viewer(1, clicked=[1, 2]))
    assert found == {1: pytest.approx(0.5), 3: pytest.approx(0.5)}
    assert answer(channel(log), viewer(3, clicked=[4])) == {}, "nobody is like user 3"


def test_only_the_last_items_of_a_neighbour_count() -> None:
    log = interactions([(1, 1), *((2, i) for i in range(1, 9))], 3, 9)
    found = answer(channel(log, neighbour_items=3), viewer(1, clicked=[1]))
    assert sorted(found) == [6, 7, 8]


def test_popular_candidates_can_be_held_down() -> None:
    log = interactions([(1, 1), (2, 1), (2, 2), (2, 3), (3, 3), (4, 3), (5, 3)], 6, 4)
    plain, held = (answer(channel(log, item_exponent=x), viewer(1, clicked=[1])) for x in (0.0, 0.5))
    assert plain[2] == plain[3]
    assert held[3] == pytest.approx(held[2] / 2)


def test_a_user_newer_than_the_part_is_compared_on_the_spot() -> None:
    log = crowd()
    of = channel(log)
    row = 7
    history = log.item[log.user == row][:12]
    stored = answer(of, viewer(row, clicked=history.tolist()))
    # User 7 is then a neighbour like others, who brings the history; else the answers are nearly the same.
    new = answer(of, viewer(999, clicked=history.tolist()))
    assert set(history.tolist()) <= set(new)
    assert len(set(stored) & set(new)) > 0.8 * len(stored)
    assert answer(channel(log, fold_in_users=0), viewer(999, clicked=history.tolist())) == {}


def test_folding_in_equals_the_stored_list_for_the_same_history() -> None:
    log = interactions([(u, i) for u in range(1, 20) for i in range(1, 10) if (u * i) % 3], 20, 10)
    of = channel(log, fold_in_users=1000)
    for row in (1, 4, 12):
        users, sims = of._alike(log.item[log.user == row], row)
        n = len(users)
        np.testing.assert_array_equal(users, of._arrays["peers"][row, :n])
        np.testing.assert_allclose(sims, of._arrays["sims"][row, :n], rtol=1e-5)


def test_a_known_user_with_a_new_taste_is_compared_on_the_spot() -> None:
    log = interactions([(1, 1), (2, 1), (2, 2), (3, 5), (4, 5), (4, 6)], 5, 7)
    of = channel(log)
    assert set(answer(of, viewer(1, clicked=[1]))) == {1, 2}
    assert set(answer(of, viewer(1, clicked=[5, 3, 1]))) == {1, 2, 5, 6}


def test_authors_make_users_alike_who_share_no_item() -> None:
    """Items 3 and 4 have the same author; 6 has none."""
    log = interactions([(1, 3), (2, 4), (2, 6), (3, 6)], 4, 7)
    of = channel(log, similarity="authors")
    assert set(answer(of, viewer(1, clicked=[3]))) == {4, 6}
    assert set(answer(of, viewer(99, clicked=[5]))) == {3, 4, 6}
    assert answer(channel(log), viewer(1, clicked=[3])) == {}


def test_any_table_of_users_and_what_they_follow_gives_neighbours() -> None:
    follows = Tastes(np.array([1, 2, 2, 3], np.int32), np.array([4, 4, 5, 5], np.int32), 4, 6)
    found = neighbours_of(follows, UserCFConfig(discount="none"), 0)
    assert found["peers"][2, :2].tolist() == [1, 3]
    assert found["sims"][2, :2] == pytest.approx([1 / np.sqrt(2)] * 2)


def test_caps_are_seeded_and_reported() -> None:
    log = crowd()
    whole, capped = build(log), build(log, max_items_per_user=4, max_users_per_item=3)
    assert whole["n_capped"].tolist() == [0, 0]
    assert capped["n_capped"][0] == np.maximum(np.bincount(log.user) - 4, 0).sum()
    assert capped["n_capped"][1] > 0
    again = build(log, max_items_per_user=4, max_users_per_item=3)
    other = build(log, seed=5, max_items_per_user=4, max_users_per_item=3)
    np.testing.assert_array_equal(capped["peers"], again["peers"])
    assert (capped["peers"] != other["peers"]).any()


def test_people_are_not_taken_for_items() -> None:
    """A part with ``neighbours`` and ``sims`` is read as items like an item, by GET /v1/similar."""
    assert "neighbours" not in UserCFChannel.build(interactions([(1, 1), (2, 1)], 3, 2), None, UserCFConfig(), 0).arrays
