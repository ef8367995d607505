from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.train.retrieval.self_supervised import (
    complementary,
    dropout,
    mutual_information,
    random_mask,
    related_mask,
)
from feedmill.train.retrieval.views import SelfSupervisedConfig, Views

STARTS = [0, 1, 2, 6, 7]  # an id, an author, up to four topics, a language
RELATION = np.array([[9, 1, 0, 3], [1, 9, 2, 0], [0, 2, 9, 1], [3, 0, 1, 9]], np.float64)
TRANSFORMS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "random_mask": random_mask,
    "dropout": dropout,
    "complementary": complementary,
    "related_mask": lambda ids, starts, random: related_mask(ids, starts, random, RELATION),
}


def items(n: int = 400, seed: int = 0) -> np.ndarray:
    ids = rng(seed, "items").integers(1, 1000, (n, 7)).astype(np.int32)
    ids[::3, 4:6] = 0  # every third has two topics, every seventh none
    ids[::7, 2:6] = 0
    return ids


def fields(view: np.ndarray) -> np.ndarray:
    """bool[C, F]: which fields a view has anything of."""
    return np.stack([(view[:, low:high] > 0).any(1) for low, high in pairwise(STARTS)], 1)


@pytest.mark.parametrize("kind", TRANSFORMS)
@given(seed=st.integers(0, 1000), n=st.integers(0, 20))
def test_a_view_is_the_item_with_something_left_out(kind: str, seed: int, n: int) -> None:
    ids = items(n, seed)
    before = ids.copy()
    for view in TRANSFORMS[kind](ids, STARTS, rng(seed, "view")):
        assert view.shape == ids.shape
        assert view.dtype == np.int32
        assert ((view == ids) | (view == 0)).all()
    np.testing.assert_array_equal(ids, before)


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_seed_gives_the_same_views_and_the_two_differ(kind: str) -> None:
    first, second = TRANSFORMS[kind](items(), STARTS, rng(1, "view"))
    again, _ = TRANSFORMS[kind](items(), STARTS, rng(1, "view"))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_random_masks_take_whole_fields_and_leave_one() -> None:
    ids = np.ones((4000, 7), np.int32)
    first, second = random_mask(ids, STARTS, rng(0, "x"), share=0.5)
    for view in (first, second):
        topics = (view[:, 2:6] > 0).sum(1)
        assert set(topics.tolist()) == {0, 4}
        assert fields(view).any(1).all()
        np.testing.assert_allclose(fields(view).mean(0), 0.25 + 0.75 * 0.5, atol=0.03)  # one of four stays anyway


def test_dropout_halves_fields_of_several_values() -> None:
    ids = items()
    first, second = dropout(ids, STARTS, rng(0, "x"))
    had = (ids[:, 2:6] > 0).sum(1)
    for view in (first, second):
        np.testing.assert_array_equal(view[:, [0, 1, 6]], ids[:, [0, 1, 6]])
        np.testing.assert_array_equal((view[:, 2:6] > 0).sum(1), had - had // 2)
    kept = (first[had == 4][:, 2:6] > 0).mean(0)
    np.testing.assert_allclose(kept, 0.5, atol=0.1)  # whichever place a value stands in


def test_complementary_views_share_nothing_and_lack_nothing() -> None:
    ids = items()
    first, second = complementary(ids, STARTS, rng(0, "x"))
    np.testing.assert_array_equal(first + second, ids)
    assert ((first == 0) | (second == 0)).all()
    full = fields(ids).all(1)
    assert (fields(first)[full].sum(1) == 2).all()
    assert len(np.unique(fields(first)[full], axis=0)) == 6  # every way to choose two of four


def test_the_most_related_fields_are_masked_together() -> None:
    """With these relations: 0 takes 3, 1 takes 2, 2 takes 1, 3 takes 0; itself always."""
    ids = np.ones((500, 7), np.int32)
    first, second = related_mask(ids, STARTS, rng(0, "x"), RELATION)
    assert {tuple(row) for row in fields(first).tolist()} == {(False, True, True, False), (True, False, False, True)}
    np.testing.assert_array_equal(first + second, ids)  # what one lacks is all that the other has


def test_of_three_related_fields_two_go() -> None:
    relation = np.array([[0, 5, 1], [5, 0, 2], [1, 2, 0]], np.float64)
    first, _ = related_mask(np.ones((300, 3), np.int32), [0, 1, 2, 3], rng(0, "x"), relation)
    assert {tuple(row) for row in (first > 0).tolist()} == {(False, False, True), (True, False, False)}


def test_mutual_information_by_hand() -> None:
    """A copy tells everything: log 2 of a fair coin. An independent coin tells nothing. An AND tells a part."""
    a = np.array([1, 1, 2, 2], np.int32)
    b = np.array([1, 2, 1, 2], np.int32)
    both = np.where((a == 2) & (b == 2), 7, 3).astype(np.int32)
    ids = np.stack([a, a + 10, b, both], 1)
    found = mutual_information(ids, [0, 1, 2, 3, 4])
    part = np.log(2) - 0.75 * (-(1 / 3) * np.log(1 / 3) - (2 / 3) * np.log(2 / 3))
    np.testing.assert_allclose(found[0, :3], [np.log(2), np.log(2), 0], atol=1e-12)
    np.testing.assert_allclose(found[3, [0, 2]], part)
    assert found[3, 3] == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))
    np.testing.assert_allclose(found, found.T)


def test_a_field_of_several_values_stands_for_one_of_them() -> None:
    """Joint of (language, a random topic): 1 goes with {1, 2}, 2 with {3} and with nothing."""
    ids = np.array([[1, 1, 2], [1, 1, 2], [2, 3, 0], [2, 0, 0]], np.int32)
    assert mutual_information(ids, [0, 1, 3])[0, 1] == pytest.approx(np.log(2))
    mixed = np.array([[1, 1, 2], [2, 1, 2]], np.int32)
    assert mutual_information(mixed, [0, 1, 3])[0, 1] == pytest.approx(0)


def test_rare_values_count_as_one() -> None:
    """An id per item would know everything of everything; cut to the frequent ones it knows next to nothing."""
    ids = np.stack([np.arange(1, 2001), rng(0, "coin").integers(1, 3, 2000)], 1).astype(np.int32)
    assert mutual_information(ids, [0, 1, 2], max_values=4000)[0, 1] == pytest.approx(np.log(2), abs=0.01)
    assert mutual_information(ids, [0, 1, 2], max_values=16)[0, 1] < 0.01


def test_no_items_have_no_information() -> None:
    assert mutual_information(np.zeros((0, 2), np.int32), [0, 1, 2]).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_views_are_of_distinct_items_from_the_whole_catalogue(kind: str) -> None:
    ids = items(50)
    ids[0] = 0
    ids[9] = 0  # nothing known
    views = Views(convert({"transform": kind}, SelfSupervisedConfig), ids, STARTS, seed=3)
    seen = np.zeros(50)
    for _ in range(400):
        first, second, rows = views.draw(8)
        assert len(np.unique(rows)) == 8
        assert (((first == ids[rows]) | (first == 0)) & ((second == ids[rows]) | (second == 0))).all()
        seen[rows] += 1
    assert seen[0] == seen[9] == 0
    np.testing.assert_allclose(seen[seen > 0] / 400, 8 / 48, atol=0.08)
    assert len(views.draw(1000)[2]) == 48


def test_items_of_one_field_have_no_two_views() -> None:
    with pytest.raises(ConfigError, match="one field"):
        Views(SelfSupervisedConfig(), items(10), [0, 7], seed=0)
