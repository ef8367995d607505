from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import CandidateBatch
from feedmill.retrieval import merge


def channel(name: str, *items: int) -> CandidateBatch:
    return CandidateBatch.of(name, items, [1 / (1 + n) for n in range(len(items))])


def test_channels_take_turns() -> None:
    merged = merge([channel("a", 1, 2, 3, 4), channel("b", 9, 8, 7, 6)], 5)
    assert merged.item.tolist() == [1, 9, 2, 8, 3]


def test_found_by_more_channels_comes_first_in_its_rank() -> None:
    merged = merge([channel("a", 1, 2), channel("b", 9, 3), channel("c", 9, 1)], 10)
    assert merged.item.tolist() == [
        1,
        9,
        2,
        3,
    ]
    assert merged.bits.tolist() == [0b101, 0b110, 0b001, 0b010]


def test_scores_stay_with_their_channel() -> None:
    merged = merge([channel("a", 5, 6), channel("b"), channel("c", 6)], 10)
    assert merged.channels == ("a", "b", "c")
    np.testing.assert_array_equal(merged.found, [[0.5, np.nan, 1], [1, np.nan, np.nan]])
    assert merged.item.tolist() == [6, 5]


def test_nothing_merged_is_nothing() -> None:
    assert len(merge([], 10)) == 0
    assert merge([], 10).channels == ()
    empty = merge([channel("a"), channel("b")], 10)
    assert len(empty) == 0
    assert empty.found.shape == (0, 2)
    assert len(merge([channel("a", 1)], 0)) == 0


@given(st.lists(st.lists(st.integers(1, 30), unique=True, max_size=20), max_size=5), st.integers(0, 40))
def test_equals_sets_and_sorting(lists: list[list[int]], limit: int) -> None:
    merged = merge([channel(f"c{n}", *items) for n, items in enumerate(lists)], limit)
    ranks = {i: [items.index(i) for items in lists if i in items] for items in lists for i in items}
    assert merged.item.tolist() == sorted(ranks, key=lambda i: (min(ranks[i]), -len(ranks[i]), i))[:limit]
    assert merged.found.shape == (len(merged), len(lists))
    for item, bits in zip(merged.item.tolist(), merged.bits.tolist(), strict=True):
        assert [bool(bits >> n & 1) for n in range(len(lists))] == [item in items for items in lists]
