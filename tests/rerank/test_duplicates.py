from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rule import REQUEST, candidates, some, state, vectors
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.rerank.duplicates import Duplicates, DuplicatesConfig


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.2, 0.6, 0.99]), st.integers(1, 9), st.integers(0, 99))
def test_equals_the_definition(n: int, k: int, limit: float, window: int, seed: int) -> None:
    batch = some(n, seed)
    config = DuplicatesConfig(limit=limit, window=window)
    picks = Duplicates(config, state(), vectors()).apply(REQUEST, batch, k)
    known = vectors()
    rows = np.array([known[i] if i < len(known) else np.zeros(6) for i in batch.item]).reshape(n, 6)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    left, picked = list(range(n)), []
    while left and len(picked) < k:
        before = picked[-window:]
        fits = [i for i in left if all(unit[i] @ unit[j] < limit for j in before)]
        picked.append(fits[0] if fits else left[0])
        assert bool(fits) != ("relaxed" in picks.notes[len(picked) - 1])
        left.remove(picked[-1])
    assert picks.rows.tolist() == picked


def test_a_twin_waits_and_says_why() -> None:
    """Items 8 and 9 have one vector."""
    batch = candidates([8, 9, 1, 2], [1.0, 0.9, 0.5, 0.4])
    picks = Duplicates(DuplicatesConfig(window=2), state(), vectors()).apply(REQUEST, batch, 4)
    assert picks.rows.tolist() == [0, 2, 3, 1]
    assert "100% like one before it" in picks.notes[3]
    assert "others held back" in picks.notes[1]


def test_when_nothing_else_is_left_it_comes_all_the_same() -> None:
    picks = Duplicates(DuplicatesConfig(), state(), vectors()).apply(REQUEST, candidates([8, 9], [1.0, 0.9]), 2)
    assert picks.rows.tolist() == [0, 1]
    assert picks.notes[1].startswith("duplicates relaxed: 100% like")


def test_without_vectors_it_does_not_take_topics_for_the_whole() -> None:
    picks = Duplicates(DuplicatesConfig(), state(), None).apply(REQUEST, some(20), 20)
    assert picks.rows.tolist() == list(range(20))


@pytest.mark.parametrize("limit", [0, 1.5])
def test_a_limit_that_is_none(limit: float) -> None:
    with pytest.raises(ConfigError, match="limit"):
        convert({"limit": limit}, DuplicatesConfig, "rerank.rules[0]")
