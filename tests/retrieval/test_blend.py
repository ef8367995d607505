from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.channel import interactions
from feedmill.retrieval.blend import DAY_MS, SCORE, SHARE, TIER, KeyedLookup, popularity
from feedmill.state import State
from retrieval.test_keyed import described, topics_of

NOW = int(10 * DAY_MS)
_days = st.one_of(st.none(), st.integers(0, 12))
_catalogue = st.lists(st.tuples(st.lists(st.sampled_from("xyz"), max_size=3), _days, st.booleans()), max_size=12)


def folded(catalogue: list[tuple[list[str], int | None, bool]]) -> State:
    """Item k with topics, published that many days after 0, available or not."""
    state = State()
    for k, (topics, day, is_there) in enumerate(catalogue):
        about: dict[str, Any] = {"topics": topics, "available": is_there}
        state.fold(described((f"i{k}", about | ({} if day is None else {"publish_ms": int(day * DAY_MS)}))))
    return state


def expected(
    state: State, weights: dict[int, float], mix: int, order: str, scores: np.ndarray, depth: int
) -> list[Any]:
    """(row, score) by the definition."""
    catalogue, found = state.catalogue, {}
    for key, weight in weights.items():
        fits = catalogue.available & (catalogue.publish_ms <= NOW) & (catalogue.topics == key).any(axis=1)
        rows = np.flatnonzero(fits).tolist()
        published = {row: int(catalogue.publish_ms[row]) or -(2**62) for row in rows}
        by = published if order == "newest" else {row: float(scores[row]) for row in rows}
        for place, row in enumerate(sorted(rows, key=lambda row: (-by[row], row))[:depth]):
            value = 1 / (1 + (NOW - published[row]) / DAY_MS) if order == "newest" else by[row]
            score = {SHARE: weight / (place + 1), SCORE: weight * value, TIER: weight + 1 / (place + 2)}[mix]
            old = found.get(row, 0.0)
            found[row] = old + score if mix == SCORE else max(old, score)
    return sorted(found.items(), key=lambda each: (-np.float32(each[1]), each[0]))


@settings(max_examples=60)
@given(
    _catalogue,
    st.dictionaries(st.integers(1, 4), st.sampled_from([1.0, 2.0, 0.25]), max_size=4),
    st.sampled_from([SHARE, SCORE, TIER]),
    st.sampled_from(["newest", "popular"]),
    st.sampled_from([1, 2, 50]),
)
def test_answers_are_what_the_formulas_say(
    catalogue: list[tuple[list[str], int | None, bool]], weights: dict[int, float], mix: int, order: str, depth: int
) -> None:
    state = folded(catalogue)
    scores = (np.arange(20) % 4 / 4).astype(np.float32)
    lookup = KeyedLookup("k", state, topics_of(state), order, scores, depth)
    keys, w = np.array(list(weights), np.int32), np.array(list(weights.values()))
    answer = lookup.answer(keys, w, mix, NOW, 100)
    wanted = expected(state, weights, mix, order, scores, depth)
    assert sorted(answer.item.tolist()) == sorted(row for row, _ in wanted)
    np.testing.assert_allclose(answer.found[:, 0], [score for _, score in wanted], rtol=1e-6)
    np.testing.assert_array_equal(lookup.answer(keys, w, mix, NOW, 3).item, answer.item[:3])


@pytest.mark.parametrize("limit", [6, 9, 30])
def test_shares_are_in_proportion_to_the_weights_in_every_beginning(limit: int) -> None:
    state = folded([(["x"], None, True)] * 40 + [(["y"], None, True)] * 40)
    lookup = KeyedLookup("k", state, topics_of(state), "newest", np.zeros(0, np.float32), 40)
    answer = lookup.answer(np.array([1, 2], np.int32), np.array([2.0, 1.0]), SHARE, NOW, limit)
    assert (answer.item <= 40).sum() == pytest.approx(2 * limit / 3, abs=1)


def test_popularity_is_scaled_to_the_most_liked() -> None:
    log = interactions([(1, 1), (2, 1), (3, 1), (4, 2)], 5, 4)
    np.testing.assert_allclose(popularity(log, "popular", 0)["score"], [0, 1, 1 / 3, 0], rtol=1e-6)
    assert len(popularity(log, "newest", 0)["score"]) == 0
    assert popularity(interactions([], 1, 1), "popular", 7)["score"].tolist() == [0]
