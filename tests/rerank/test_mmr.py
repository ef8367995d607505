from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rule import N_ITEMS, REQUEST, candidates, some, state, vectors
from feedmill.core.batches import CandidateBatch, Floats
from feedmill.rerank.kernels import compare, distinct
from feedmill.rerank.mmr import MMR, MMRConfig
from feedmill.rerank.similarity import stretch

LOWEST = float(np.finfo(np.float32).min)


def rule(item_vectors: Floats | None, **parameters: Any) -> MMR:
    return MMR(MMRConfig(**parameters), state(), item_vectors)


def similarities(batch: CandidateBatch, item_vectors: Floats, topic_weight: float) -> np.ndarray:
    """float64[C, C] by the definition, one pair at a time."""
    sets = [{int(t) for t in state().catalogue.topics[i] if t} for i in batch.item]
    rows = [item_vectors[i] if i < len(item_vectors) else item_vectors[0] * 0 for i in batch.item]
    out = np.zeros((len(batch), len(batch)))
    for i, j in np.ndindex(out.shape):
        lengths = np.linalg.norm(rows[i]) * np.linalg.norm(rows[j])
        cosine = rows[i] @ rows[j] / lengths if lengths else 0
        either = sets[i] | sets[j]
        jaccard = len(sets[i] & sets[j]) / len(either) if either else 0
        out[i, j] = topic_weight * jaccard + (1 - topic_weight) * cosine
    return out


def check_greedy(batch: CandidateBatch, picked: list[int], sims: np.ndarray, theta: float, window: int) -> None:
    """Every pick is the best of what was left, the first of equal ones; to rounding."""
    value, left = stretch(batch.value).astype(float), list(range(len(batch)))
    for slot, pick in enumerate(picked):
        recent = picked[max(0, slot - window) : slot]
        scores = {i: theta * value[i] - (1 - theta) * max((sims[i, j] for j in recent), default=0) for i in left}
        assert scores[pick] >= max(scores.values()) - 1e-6
        assert pick == min(i for i in left if scores[i] >= scores[pick] - 1e-12) or slot
        left.remove(pick)


@settings(max_examples=40)
@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from([1, 2, 5, 30]),
    st.integers(0, 99),
)
def test_equals_the_definition(n: int, k: int, theta: float, topic_weight: float, window: int, seed: int) -> None:
    batch = some(n, seed)
    picks = rule(vectors(), theta=theta, topic_weight=topic_weight, window=window).apply(REQUEST, batch, k)
    check_greedy(batch, picks.rows.tolist(), similarities(batch, vectors(), topic_weight), theta, window)


def test_the_same_picks_as_plain_numpy() -> None:
    draw = np.random.default_rng(0)
    item_vectors = draw.standard_normal((N_ITEMS, 16)).astype(np.float32)
    batch = some(40)
    unit = item_vectors[batch.item] / np.linalg.norm(item_vectors[batch.item], axis=1, keepdims=True)
    sims, value = unit @ unit.T, (batch.value - batch.value.min()) / np.ptp(batch.value)
    picked: list[int] = []
    for _ in range(20):
        nearest = sims[:, picked[-5:]].max(1) if picked else np.zeros(40)
        score = 0.6 * value - 0.4 * nearest
        score[picked] = -np.inf
        picked.append(int(score.argmax()))
    picks = rule(item_vectors, theta=0.6, topic_weight=0, window=5).apply(REQUEST, batch, 20)
    assert picks.rows.tolist() == picked


def test_theta_1_is_the_order_of_value() -> None:
    picks = rule(vectors(), theta=1.0).apply(REQUEST, some(20), 10)
    assert picks.rows.tolist() == list(range(10))
    assert set(picks.notes) == {""}


def test_a_twin_falls_behind_and_is_told_why() -> None:
    item_vectors = np.zeros((N_ITEMS, 2), np.float32)
    item_vectors[1] = item_vectors[2] = [1, 0]
    item_vectors[3] = [0, 1]
    picks = rule(item_vectors, topic_weight=0, theta=0.5).apply(REQUEST, candidates([1, 2, 3], [1, 0.9, 0.5]), 3)
    assert picks.rows.tolist() == [0, 2, 1]
    assert picks.notes == (
        "",
        "MMR moved it up from 3 to 2, for variety",
        "MMR moved it down from 2 to 3, 100% like one shown before it",
    )


def test_only_the_window_counts() -> None:
    """1 and 2 are twins: with a window of 1, one slot between them is enough."""
    item_vectors = np.zeros((N_ITEMS, 2), np.float32)
    item_vectors[1] = item_vectors[2] = [1, 0]
    item_vectors[3] = item_vectors[4] = [0, 1]
    batch = candidates([1, 2, 3, 4], [1, 0.99, 0.98, 0.0])
    picks = rule(item_vectors, topic_weight=0, theta=0.5, window=1).apply(REQUEST, batch, 4)
    assert picks.rows.tolist() == [0, 2, 1, 3]


def test_without_vectors_topics_decide() -> None:
    batch = some(40)
    by_topic = rule(None, topic_weight=0.2).apply(REQUEST, batch, 20)
    assert by_topic.rows.tolist() == rule(vectors(), topic_weight=1.0).apply(REQUEST, batch, 20).rows.tolist()


def test_vectors_that_are_not_finite_are_like_nothing() -> None:
    item_vectors = vectors()
    item_vectors[3] = np.nan
    picks = rule(item_vectors, topic_weight=0, theta=0.0).apply(REQUEST, candidates([3, 8, 9], [1, 0.9, 0.8]), 3)
    assert sorted(picks.rows.tolist()) == [0, 1, 2]
    assert picks.rows[0] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([3.0, 2.0, 1.0], [1, 0.5, 0]),
        ([2.0, 2.0], [1, 1]),
        ([LOWEST, 5.0, 3.0], [0, 1, 0]),
        ([np.nan, 1.0], [0, 1]),
        ([LOWEST, LOWEST], [0, 0]),
        ([3e38, -3e38], [1, 0]),
        ([], []),
    ],
)
def test_values_are_stretched_to_0_and_1(value: list[float], expected: list[float]) -> None:
    assert stretch(np.array(value, np.float32)).tolist() == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 0], [2, 3, 0], 1 / 3),
        ([1, 2, 3], [3, 1, 2], 1),
        ([1, 0, 0], [2, 0, 0], 0),
        ([0, 0, 0], [0, 0, 0], 0),
        ([3, 3, 0], [3, 3, 0], 1),
    ],
)
def test_overlap_of_topics(a: list[int], b: list[int], expected: float) -> None:
    topics, line, nobody = np.array([a, b], np.int32).T.copy(), np.zeros(2, np.float32), np.zeros(2, np.int32)
    compare(line, np.zeros((0, 2), np.float32), topics, distinct(topics, 1.0), nobody, 1.0, 0.0, 0)
    assert line[1] == pytest.approx(expected)


def test_compare_mixes_cosine_and_overlap() -> None:
    line, topics = np.zeros(2, np.float32), np.array([[1, 1], [0, 2]], np.int32)
    columns = np.array([[1.0, 0.6], [0.0, 0.8]], np.float32), topics, distinct(topics, 1.0), np.array([3, 3], np.int32)
    compare(line, *columns, 0.25, 0.0, 0)
    assert line.tolist() == pytest.approx([1, 0.25 * 0.5 + 0.75 * 0.6])
