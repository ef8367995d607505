"""The ring of each person."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.sim.feeds.recent import Recent


@given(st.lists(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9)), max_size=8), max_size=8), st.integers(1, 4))
def test_the_last_of_each(batches: list[list[tuple[int, int]]], length: int) -> None:
    recent, all_of = Recent(length), {}  # type: ignore[var-annotated]
    for batch in batches:
        recent.note(*(np.array([row[k] for row in batch], np.int32) for k in (0, 1)))
        for user, item in batch:
            all_of.setdefault(user, []).append(item)
    for user, seen in all_of.items():
        assert recent.n[user] == len(seen)
        kept = [int(recent.item[user, p % length]) for p in range(max(0, len(seen) - length), len(seen))]
        assert kept == seen[-length:]
