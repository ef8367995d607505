"""Slates: nothing twice, nothing seen while there is something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.sim.feeds.kernels import by_chance, by_neighbours, by_order
from feedmill.sim.views import NOTHING

I = np.int32  # noqa: E741
TIMES = np.arange(5, dtype=np.int64)


def rings(*seen: list[int], length: int = 8) -> tuple[Any, Any]:
    """What each has seen, oldest first."""
    item, n = np.zeros((len(seen), length), I), np.array([len(s) for s in seen], I)
    for user, of in enumerate(seen):
        for p, row in enumerate(of):
            item[user, p % length] = row
    return item, n


def test_by_order_passes_over_what_was_seen() -> None:
    order = np.array([3, 0, 2, 1], I)
    found = by_order(np.array([1, 0], I), order, np.ones(4, bool), *rings([3, 2], []), 2)
    assert found.tolist() == [[3, 0], [0, 1]]


def test_what_was_seen_longest_ago_comes_again_when_nothing_is_left() -> None:
    """2 was seen first, and last."""
    is_on = np.array([True, True, True, False])
    seen = rings([2, 3, 0, 2])
    assert by_order(np.zeros(1, I), np.array([0, 1, 2], I), is_on, *seen, 5).tolist() == [[1, 0, 2, NOTHING, NOTHING]]


def test_a_ring_forgets() -> None:
    """Of 0 … 9 the last 8 are remembered: 0 and 1 are as good as new."""
    found = by_order(np.zeros(1, I), np.arange(10, dtype=I), np.ones(10, bool), *rings(list(range(10))), 4)
    assert found.tolist() == [[0, 1, 2, 3]]


@given(st.integers(0, 6), st.lists(st.integers(0, 5), max_size=12), st.integers(1, 8), st.integers(0, 99))
def test_by_chance_shows_all_that_there_is(n_on: int, seen: list[int], width: int, seed: int) -> None:
    on = np.arange(n_on, dtype=I)
    is_on = np.arange(6) < n_on
    slate = by_chance(seed, np.zeros(1, I), TIMES[:1], on, is_on, *rings(seen), width)[0].tolist()
    shown = [i for i in slate if i != NOTHING]
    assert len(shown) == len(set(shown)) == min(width, n_on)
    unseen = set(range(n_on)) - set(seen[-8:])
    assert set(shown[: len(unseen)]) <= unseen, "first what was not seen"


def test_by_chance_is_even_and_hangs_on_the_person_and_the_time() -> None:
    n, on = 4000, np.arange(20, dtype=I)
    users, times = np.arange(n, dtype=I), np.full(n, 7, np.int64)
    nobody = (np.zeros((n, 1), I), np.zeros(n, I))
    slates = by_chance(5, users, times, on, np.ones(20, bool), *nobody, 4)
    counts = np.bincount(slates.ravel(), minlength=20)
    assert abs(counts - 800).max() < 5 * np.sqrt(800)
    alone = by_chance(5, users[9:10], times[:1], on, np.ones(20, bool), *nobody, 4)
    np.testing.assert_array_equal(alone[0], slates[9])
    assert (by_chance(5, users, times + 1, on, np.ones(20, bool), *nobody, 4) != slates).any(axis=1).mean() > 0.9
    assert (by_chance(6, users, times, on, np.ones(20, bool), *nobody, 4) != slates).any(axis=1).mean() > 0.9


# Of item rows + 1, as retrieval has them: 0 resembles 1 (.9) and 2 (.5); 3 resembles 2 (.5).
NEIGHBOURS = np.array([[0, 0], [2, 3], [0, 0], [0, 0], [3, 0]], I)
SIMS = np.array([[0, 0], [0.9, 0.5], [0, 0], [0, 0], [0.5, 0]], np.float32)


@pytest.mark.parametrize(("recency", "first"), [(1.0, [2, 1]), (0.5, [1, 2])])
def test_by_neighbours_adds_up_and_weighs_by_place(recency: float, first: list[int]) -> None:
    """Liked 3, then 0: 2 has .5 + .5, 1 has .9; with the older at half, .75 and .9. The rest is by order."""
    liked = rings([3, 0])
    order, is_on = np.array([4, 0, 1, 2, 3], I), np.ones(5, bool)
    found = by_neighbours(np.zeros(1, I), *liked, recency, NEIGHBOURS, SIMS, order, is_on, *rings([3, 0]), 4)
    assert found.tolist() == [[*first, 4, 3]]


def test_by_neighbours_leaves_out_what_was_seen_or_is_gone() -> None:
    is_on = np.array([True, False, True, True, True])
    nearest = (*rings([0, 4], [0]), 1.0, NEIGHBOURS, SIMS)
    order, seen = np.array([3, 4, 2], I), rings([0, 4, 2], [])
    found = by_neighbours(np.array([0, 1], I), *nearest, order, is_on, *seen, 3)
    assert found.tolist() == [[3, 0, 4], [2, 3, 4]]
