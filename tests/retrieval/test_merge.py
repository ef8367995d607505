from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.retrieval.merge import MergeConfig, Scale, check_weights, merge, merger, scaled, weighted_merge


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


# By weighted scores


def test_scaled_answers_are_comparable() -> None:
    found = np.array([[3, -1, np.nan, 0], [1, -3, np.nan, 0], [np.nan, -2, np.nan, 0]], np.float32)
    by_sum = scaled(found, "sum")
    np.testing.assert_allclose(by_sum, [[0.75, 2 / 3, 0, 1 / 3], [0.25, 0, 0, 1 / 3], [0, 1 / 3, 0, 1 / 3]], atol=1e-6)
    by_rank = scaled(found, "rank")
    np.testing.assert_allclose(by_rank.sum(0), [1, 1, 0, 1], rtol=1e-6)
    by_best = scaled(found, "max")
    np.testing.assert_allclose(by_best, [[1, 1, 0, 1 / 3], [1 / 3, 0, 0, 1 / 3], [0, 0.5, 0, 1 / 3]], atol=1e-6)
    assert by_rank[0, 0] / by_rank[1, 0] == np.float32(62 / 61)
    np.testing.assert_allclose(by_rank[:, 1] / by_rank[1, 1], [63 / 61, 1, 63 / 62], rtol=1e-6)


def test_weighted_by_hand() -> None:
    a, b = CandidateBatch.of("a", [1, 2, 3], [6, 3, 1]), CandidateBatch.of("b", [3, 4], [1, 1])
    plain = weighted_merge([a, b], 10, {}, "sum")
    np.testing.assert_allclose(plain.value, [0.6, 0.6, 0.5, 0.3], atol=1e-6)
    assert plain.item.tolist() == [1, 3, 4, 2], "1 and 3 have the same value, 1 has the better rank"
    assert plain.channels == ("a", "b")
    np.testing.assert_array_equal(plain.found, [[6, np.nan], [1, 1], [np.nan, 1], [3, np.nan]])
    assert weighted_merge([a, b], 2, {"b": 3}, "sum").item.tolist() == [3, 4]
    silent = weighted_merge([a, b], 9, {"b": 0.0}, "sum")
    assert silent.item.tolist() == [1, 2, 3, 4]
    assert silent.value.tolist()[-1] == 0


def test_the_config_chooses() -> None:
    a, b = CandidateBatch.of("a", [1, 2], [9, 1]), CandidateBatch.of("b", [2, 1], [6, 4])
    assert merger(MergeConfig()) is merge
    equal = merger(MergeConfig(kind="weighted"))([a, b], 9)
    np.testing.assert_allclose(equal.value, [1.3, 0.7], rtol=1e-6)
    learned = merger(MergeConfig(kind="weighted"), {"a": 0.0})([a, b], 9)
    assert learned.item.tolist() == [2, 1]
    stated = merger(MergeConfig(kind="weighted", weights={"a": 1.0}), {"a": 0.0})([a, b], 9)
    assert stated.item.tolist() == [1, 2], "what the config states goes before what was learned"


def test_weights_of_channels_that_are_not_there() -> None:
    check_weights(MergeConfig(weights={"itemcf": 2}), ["itemcf", "popular"])
    with pytest.raises(ConfigError, match='did you mean "itemcf"'):
        check_weights(MergeConfig(weights={"itemcff": 2}), ["itemcf", "popular"])
    with pytest.raises(ConfigError, match=">= 0"):
        convert({"weights": {"itemcf": -1}}, MergeConfig)


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 30), st.integers(-3, 3)), max_size=20), max_size=4),
    st.sampled_from(["sum", "rank"]),
)
def test_weighted_has_the_same_items_once(lists: list[list[tuple[int, int]]], scale: Scale) -> None:
    batches = []
    for n, pairs in enumerate(lists):
        best = sorted(dict(pairs).items(), key=lambda p: (-p[1], p[0]))
        batches.append(CandidateBatch.of(f"c{n}", [i for i, _ in best], [s for _, s in best]))
    by_rank, by_value = merge(batches, 100), weighted_merge(batches, 100, {"c1": 2.0}, scale)
    assert sorted(by_rank.item.tolist()) == sorted(by_value.item.tolist())
    assert (np.diff(by_value.value) <= 0).all()
    for limit in (0, 3):
        assert weighted_merge(batches, limit, {"c1": 2.0}, scale).item.tolist() == by_value.item.tolist()[:limit]
