from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.retrieval.topk import best_first, offer


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_best_k_in_any_order_of_arrival(scores: list[int], k: int, random: object) -> None:
    entries = list(enumerate(scores, 1))
    expected = sorted(entries, key=lambda e: (-e[1], e[0]))[:k]
    random.shuffle(entries)  # type: ignore[attr-defined]
    rows, kept, n = np.zeros(k, np.int32), np.zeros(k, np.float32), 0
    for row, score in entries:
        n = offer(rows, kept, n, row, np.float32(score))
    best_first(rows, kept, n)
    assert list(zip(rows[:n].tolist(), kept[:n].tolist(), strict=True)) == expected
