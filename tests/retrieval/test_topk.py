from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feedmill.retrieval.topk import BUCKETS, best_first, keep_best, key_of, least, offer


def kept(entries: list[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(entries, key=lambda e: (-e[1], e[0]))[:k]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_best_k_in_any_order_of_arrival(scores: list[int], k: int, random: object) -> None:
    entries = list(enumerate(scores, 1))
    expected = kept(entries, k)
    random.shuffle(entries)  # type: ignore[attr-defined]
    rows, found, n = np.zeros(k, np.int32), np.zeros(k, np.float32), 0
    for row, score in entries:
        n = offer(rows, found, n, row, np.float32(score))
    best_first(rows, found, n)
    assert list(zip(rows[:n].tolist(), found[:n].tolist(), strict=True)) == expected


@given(st.integers(0, 900), st.integers(1, 30), st.integers(0, 3))
def test_keys_are_ranked_like_entries(n: int, k: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows, scores = draw.permutation(2000)[:n] + 1, draw.integers(1, 40, n) / 8
    keys = np.array([key_of(int(r), np.float32(s)) for r, s in zip(rows, scores, strict=True)], np.uint64)
    best, found = np.zeros(k, np.int32), np.zeros(k, np.float32)
    keep_best(keys, n, best, found)
    expected = kept(list(zip(rows.tolist(), scores.tolist(), strict=True)), k)
    n = len(expected)
    assert list(zip(best[:n].tolist(), found[:n].tolist(), strict=True)) == expected
    assert not best[n:].any()


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 1e6, width=32)), st.integers(1, 40))
def test_least_is_a_close_lower_bound_of_the_kth_largest(numbers: np.ndarray, k: int) -> None:
    low = least(numbers, len(numbers), k, np.zeros(BUCKETS, np.int32))
    assert low > 0
    above = numbers[numbers >= low]
    positive = np.sort(numbers[numbers > 0])[::-1]
    assert len(above) >= min(k, len(positive))
    if len(positive) >= k:
        assert above.min() > positive[k - 1] * 0.93 - 1e-40
