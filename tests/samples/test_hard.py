from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.request import FeedItem, Trace
from feedmill.log.traces import BELOW_CUT, BELOW_SLATE
from feedmill.samples.hard import HardNegatives
from feedmill.state.ids import IdMap

USERS, ITEMS = IdMap(["u1", "u2", "u3"]), IdMap(["a", "b", "c", "d"])


def trace(user: str, time_ms: int, shown: str = "", **fates: str) -> Trace:
    """Item ids are single letters."""
    items = [FeedItem(item_id=i, title="", position=0, value=0.0, channels={}, scores={}, why="") for i in shown]
    reasons = {"cut": BELOW_CUT, "slate": BELOW_SLATE, "seen": "seen", "mmr": "rerank.mmr"}
    return Trace(
        request_id=f"{user}{time_ms}",
        user_id=user,
        time_ms=time_ms,
        items=items,
        fates={reasons[k]: list(v) for k, v in fates.items()},
    )


def lists(hard: HardNegatives) -> dict[int, list[int]]:
    return {user: sorted(rows.tolist()) for user, rows in hard.items()}


def test_what_a_later_stage_dropped_is_hard() -> None:
    """Seen items were filtered, not dropped; shown ones were good enough, also in another request."""
    traces = [
        trace("u1", 1, shown="a", cut="bc", seen="d"),
        trace("u1", 2, shown="b", slate="a", cut="c"),
        trace("u2", 3, slate="ad"),
        trace("nobody", 4, cut="a"),
        trace("u3", 5, cut="unknown"),
    ]
    hard = HardNegatives.of(traces, USERS, ITEMS)
    assert lists(hard) == {1: [3], 2: [1, 4]}
    assert list(hard) == [1, 2]
    assert 3 not in hard
    with pytest.raises(KeyError):
        hard[3]


def test_of_what_a_rule_left_out_the_back_half_was_ranked_low() -> None:
    """The front may have been ranked high and lost its place to its like."""
    assert lists(HardNegatives.of([trace("u1", 1, mmr="abcd")], USERS, ITEMS)) == {1: [3, 4]}
    assert lists(HardNegatives.of([trace("u1", 1, mmr="abc")], USERS, ITEMS)) == {1: [3]}


def test_the_newest_of_each_user_are_kept() -> None:
    traces = [trace("u1", 1, cut="a"), trace("u2", 2, cut="a"), trace("u1", 3, cut="bc"), trace("u1", 4, cut="a")]
    hard = HardNegatives.of(traces, USERS, ITEMS, max_per_user=2)
    assert lists(hard) == {1: [1, 3], 2: [1]}


def test_a_trace_from_after_the_users_cut_says_nothing() -> None:
    traces = [trace("u1", 1, cut="a"), trace("u1", 9, shown="a", cut="b"), trace("u2", 1, cut="c")]
    assert lists(HardNegatives.of(traces, USERS, ITEMS, until_ms={"u1": 5})) == {1: [1]}


def test_draws_are_different_ones_of_their_user_and_fair() -> None:
    user = np.repeat(np.array([1, 2], np.int32), [10, 2])
    item = np.concatenate([np.arange(1, 11), [5, 6]]).astype(np.int32)
    hard, random = HardNegatives(user, item, seed=3), rng(0, "draw")
    asked = np.array([2, 9, 1, 1], np.int32)
    counts = np.zeros(11)
    for _ in range(2000):
        of, drawn = hard.draw(asked, 3, random)
        assert of.tolist() == [0, 0, 2, 2, 2, 3, 3, 3]
        assert sorted(drawn[:2].tolist()) == [5, 6]
        assert len(set(drawn[2:5].tolist())) == 3
        counts += np.bincount(drawn[2:5], minlength=11)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / 2000, 0.3, atol=0.05)


def test_without_traces_there_are_none() -> None:
    hard = HardNegatives.of([], USERS, ITEMS)
    assert len(hard) == 0
    of, drawn = hard.draw(np.array([1, 2], np.int32), 4, rng(0, "x"))
    assert len(of) == len(drawn) == 0


def test_the_seed_decides_the_order() -> None:
    user, item = np.ones(50, np.int32), np.arange(50, dtype=np.int32)
    first, again, other = (HardNegatives(user, item, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other
