"""The loop bench measures what it says: nothing moves without a like, and a like moves both."""

from __future__ import annotations

import pytest

from feedmill.cli.bench.loop import Feed, is_moved, loop_rows


def test_a_user_vector_has_moved_when_the_tower_scores_the_same_item_otherwise() -> None:
    before = Feed(["a", "b"], {"a": 0.5, "b": 0.25})
    assert not is_moved(before, before)
    assert not is_moved(before, Feed(["b", "c"], {"b": 0.25, "c": 0.1})), "another feed is no other vector"
    assert not is_moved(before, Feed(["c"], {"c": 0.1})), "nothing to compare"
    assert is_moved(before, Feed(["b"], {"b": 0.24}))


@pytest.mark.slow
def test_its_rows() -> None:
    rows = loop_rows(quick=True)
    assert [row.metric for row in rows] == ["p50", "p99"] * 3
    assert all(0 < row.value < 5000 for row in rows)
