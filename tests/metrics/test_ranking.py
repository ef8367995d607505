from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.ranking import average_precision_at, hit_at, hits, ndcg_at, order, recall_at


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def lists(*users: list[int]) -> np.ndarray:
    width = max(map(len, users))
    return np.array([u + [0] * (width - len(u)) for u in users], np.int32)


def test_order_breaks_ties_by_item_and_sinks_nan() -> None:
    scores = np.array([0.5, np.nan, 0.9, 0.5, -np.inf], np.float32)
    items = rows(8, 1, 4, 3, 2)
    assert items[order(scores, items)].tolist() == [4, 3, 8, 2, 1]


@given(st.permutations(range(1, 12)), st.integers(0, 2**32 - 1))
def test_order_does_not_depend_on_the_order_of_the_candidates(items: list[int], seed: int) -> None:
    score_of = np.random.default_rng(seed).integers(0, 3, 12).astype(np.float32)  # many ties
    shuffled = np.array(items, np.int32)
    ranked = shuffled[order(score_of[shuffled], shuffled)]
    straight = np.arange(1, 12, dtype=np.int32)
    assert ranked.tolist() == straight[order(score_of[straight], straight)].tolist()


def test_known_answers() -> None:
    ranked = lists([5, 3, 9, 1], [2, 4, 6, 8], [7, 1])
    held = [rows(3, 1, 40), rows(9), rows(7)]
    assert hits(ranked, held).tolist() == [
        [False, True, False, True],
        [False] * 4,
        [True, False, False, False],
    ]
    np.testing.assert_allclose(recall_at(ranked, held, 2), [1 / 3, 0, 1])
    np.testing.assert_allclose(recall_at(ranked, held, 4), [2 / 3, 0, 1])
    np.testing.assert_allclose(hit_at(ranked, held, 1), [0, 0, 1])
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    gained = 1 / np.log2(3) + 1 / np.log2(5)
    np.testing.assert_allclose(ndcg_at(ranked, held, 4), [gained / ideal, 0, 1])
    np.testing.assert_allclose(ndcg_at(ranked, held, 2), [1 / np.log2(3) / (1 + 1 / np.log2(3)), 0, 1])


def test_recall_divides_by_all_that_was_held_out() -> None:
    assert recall_at(lists([1, 2]), [rows(1, 2, 3, 4)], 2)[0] == 0.5
    assert ndcg_at(lists([1, 2]), [rows(1, 2, 3, 4)], 2)[0] == 1.0, "no list of two could do better"


def test_a_user_without_held_out_items_is_not_a_zero() -> None:
    ranked, held = lists([1, 2], [1, 2]), [rows(), rows(2)]
    for metric in (recall_at, ndcg_at, hit_at):
        values = metric(ranked, held, 2)
        assert np.isnan(values[0])
        assert values[1] > 0


def test_padding_is_never_a_hit() -> None:
    assert not hits(lists([0, 0], [3, 0]), [rows(0), rows(0, 7)]).any()


def test_one_users_items_do_not_count_for_another() -> None:
    assert not hits(lists([1, 2], [3, 4]), [rows(3, 4), rows(1, 2)]).any()


def test_no_users() -> None:
    assert recall_at(np.zeros((0, 5), np.int32), [], 5).shape == (0,)


def test_a_list_shorter_than_k() -> None:
    assert recall_at(lists([1, 2]), [rows(2)], 50)[0] == 1


def test_refuses_repeats_and_other_lengths() -> None:
    with pytest.raises(DataError, match="twice"):
        hits(lists([1, 2, 1]), [rows(1)])
    with pytest.raises(DataError, match="lengths 1 and 2"):
        hits(lists([1]), [rows(1), rows(2)])


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
def test_ranges_and_agreement_with_the_plain_sum(n_users: int, width: int, k: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    ranked = np.stack([draw.permutation(20)[:width] + 1 for _ in range(n_users)]).astype(np.int32)
    held = [(draw.permutation(20)[: draw.integers(1, 6)] + 1).astype(np.int32) for _ in range(n_users)]
    ndcg, recall, hit = ndcg_at(ranked, held, k), recall_at(ranked, held, k), hit_at(ranked, held, k)
    for u in range(n_users):
        found = [p for p, item in enumerate(ranked[u, :k].tolist()) if item in held[u].tolist()]
        best = sum(1 / np.log2(p + 2) for p in range(min(k, len(held[u]))))
        assert ndcg[u] == pytest.approx(sum(1 / np.log2(p + 2) for p in found) / best)
        assert recall[u] == pytest.approx(len(found) / len(held[u]))
        assert hit[u] == bool(found)
    assert ((ndcg >= 0) & (ndcg <= 1 + 1e-12)).all()


@given(st.sets(st.integers(1, 30), min_size=1, max_size=10), st.integers(1, 12))
def test_a_perfect_list_has_ndcg_one(chosen: set[int], k: int) -> None:
    best = sorted(chosen) + list(range(31, 41))
    assert ndcg_at(lists(best), [rows(*chosen)], k)[0] == pytest.approx(1)


def test_average_precision_by_hand() -> None:
    """Hits at places 1 and 3 of two: (1/1 + 2/3) / 2."""
    ranked = np.array([[5, 9, 7, 0]], np.int32)
    assert average_precision_at(ranked, [np.array([5, 7])], 4)[0] == pytest.approx(5 / 6)
    assert average_precision_at(ranked, [np.array([9])], 1)[0] == 0
    assert np.isnan(average_precision_at(ranked, [np.zeros(0, np.int64)], 4)[0])
    assert len(average_precision_at(np.zeros((0, 4), np.int32), [], 4)) == 0
