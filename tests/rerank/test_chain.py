from __future__ import annotations

import numpy as np

from contracts.rule import REQUEST, some, state, vectors
from feedmill.core.batches import CandidateBatch
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank import apply_rules
from feedmill.rerank.mmr import MMR, MMRConfig
from feedmill.rerank.window import Window, WindowConfig


class Turn:
    """Takes candidates from the end; remembers what it was asked."""

    def __init__(self, note: str = "") -> None:
        self.note, self.asked = note, (0, 0)

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        self.asked = (len(candidates), k)
        rows = np.arange(len(candidates), dtype=np.int32)[::-1][:k]
        return Picks(rows, (self.note,) * len(rows))


def test_without_rules_it_is_the_order_of_value() -> None:
    picks = apply_rules([], REQUEST, some(20), 3)
    assert picks.rows.tolist() == [0, 1, 2]
    assert picks.notes == ("in order of value",) * 3


def test_rules_see_what_the_one_before_let_through() -> None:
    first, second = Turn("one"), Turn("two")
    picks = apply_rules([first, second], REQUEST, some(40), 5, pool=2)
    assert first.asked == (40, 10)
    assert second.asked == (10, 5)
    assert picks.rows.tolist() == [30, 31, 32, 33, 34]  # the last ten turned, and its end turned again
    assert picks.notes == ("one; two",) * 5


def test_notes_keep_to_their_item() -> None:
    class NoteFirst(Turn):
        def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
            return Picks(np.arange(k, dtype=np.int32), ("first of all", *[""] * (k - 1)))

    picks = apply_rules([NoteFirst(), Turn()], REQUEST, some(4), 4)
    assert picks.rows.tolist() == [3, 2, 1, 0]
    assert picks.notes == (
        "4 by value, a rule moved it up from 4 to 1",
        "3 by value, a rule moved it up from 3 to 2",
        "2 by value, a rule moved it down from 2 to 3",
        "first of all",
    )


def test_few_candidates() -> None:
    assert apply_rules([Turn(), Turn()], REQUEST, some(2), 10).rows.tolist() == [0, 1]
    assert len(apply_rules([Turn()], REQUEST, some(0), 10).rows) == 0
    assert len(apply_rules([Turn()], REQUEST, some(5), 0).rows) == 0


def test_the_window_holds_after_mmr() -> None:
    rules = [MMR(MMRConfig(), state(), vectors()), Window(WindowConfig(window=3), state())]
    batch = some(40)
    picks = apply_rules(rules, REQUEST, batch, 10)
    authors = state().catalogue.author[batch.item[picks.rows]]
    for slot in range(8):
        known = authors[slot : slot + 3][authors[slot : slot + 3] > 0]
        assert len(np.unique(known)) == len(known)
    joined = [note for note in picks.notes if "MMR" in note and "author window" in note]
    assert joined
    assert all("; author window" in note for note in joined)
