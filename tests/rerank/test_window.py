from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rule import REQUEST, candidates, some, state
from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.rerank.window import Window, WindowConfig


def apply(batch: CandidateBatch, k: int, **parameters: Any) -> tuple[list[int], tuple[str, ...]]:
    picks = Window(WindowConfig(**parameters), state()).apply(REQUEST, batch, k)
    return picks.rows.tolist(), picks.notes


def groups(batch: CandidateBatch, by: str, topics: str) -> list[set[int]]:
    catalogue = state().catalogue
    if by == "author":
        columns = catalogue.author[batch.item][:, None]
    else:
        columns = catalogue.topics[batch.item, : 1 if topics == "first" else None]
    return [{int(g) for g in row if g} for row in columns]


def plain(sets: list[set[int]], k: int, at_most: int, window: int) -> list[int]:
    """The rule as its docstring says it."""
    left, picked = list(range(len(sets))), []
    while left and len(picked) < k:
        before = picked[max(0, len(picked) - window + 1) :]
        fits = [i for i in left if all(sum(g in sets[j] for j in before) < at_most for g in sets[i])]
        picked.append(fits[0] if fits else left[0])
        left.remove(picked[-1])
    return picked


@settings(max_examples=60)
@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(["author", "topic"]),
    st.sampled_from(["first", "any"]),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_equals_the_definition(n: int, k: int, by: str, topics: str, at_most: int, window: int, seed: int) -> None:
    batch = some(n, seed)
    rows, notes = apply(batch, k, by=by, topics=topics, at_most=at_most, window=window)
    sets = groups(batch, by, topics)
    assert rows == plain(sets, k, at_most, window)
    for slot in range(len(rows)):
        span = rows[max(0, slot - window + 1) : slot + 1]
        full = any(sum(g in sets[j] for j in span) > at_most for g in sets[rows[slot]])
        assert full == ("relaxed" in notes[slot]), "holds in every window, or says so"


def test_the_same_author_waits_and_is_told_why() -> None:
    batch = candidates([1, 6, 11, 2, 3], [5, 4, 3, 2, 1])  # 1, 6 and 11 are of author a1
    rows, notes = apply(batch, 5, at_most=1, window=3)
    assert rows == [0, 3, 4, 1, 2]
    assert notes == (
        "",
        "author window moved it up from 4 to 2, others were held back",
        "author window moved it up from 5 to 3, others were held back",
        "author window moved it down from 2 to 4, author a1 already had 1 of 3 slots",
        "author window relaxed: more than 1 of author a1 in 3 slots, nothing else was left",
    )


def test_items_without_author_always_fit() -> None:
    rows, notes = apply(candidates([7, 14, 21, 28], [4, 3, 2, 1]), 4, at_most=1, window=4)
    assert rows == [0, 1, 2, 3]
    assert set(notes) == {""}


def test_any_topic_looks_at_the_second_one_too() -> None:
    topics = state().catalogue.topics
    pairs = [(i, j) for i in range(1, 41) for j in range(1, 41) if i != j and topics[i, 1]]
    first, alike = next((i, j) for i, j in pairs if topics[j, 0] not in topics[i, :2] and topics[i, 1] == topics[j, 1])
    other = next(j for i, j in pairs if i == first and topics[j, 0] and not set(topics[i, :2]) & set(topics[j, :2]))
    batch = candidates([first, alike, other], [3, 2, 1])
    assert apply(batch, 3, by="topic", topics="first", window=2)[0] == [0, 1, 2]
    rows, notes = apply(batch, 3, by="topic", topics="any", window=2)
    assert rows == [0, 2, 1]
    name = state().catalogue.topic_ids.id(int(topics[first, 1]))
    assert notes[2] == f"topic window moved it down from 2 to 3, topic {name} already had 1 of 2 slots"


def test_a_window_of_one_slot_asks_nothing() -> None:
    assert apply(some(20), 20, window=1)[0] == list(range(20))


@pytest.mark.parametrize("bad", [{"by": "city"}, {"at_most": 0}, {"window": 0}, {"authors": 1}])
def test_config_is_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        convert(bad, WindowConfig, "rerank.author")


def test_many_topics_in_any_window_hold() -> None:
    """With enough variety no rule needs to be relaxed."""
    batch = some(40, 1)
    rows, notes = apply(batch, 12, by="author", at_most=1, window=3)
    authors = state().catalogue.author[batch.item[rows]]
    for slot in range(10):
        known = authors[slot : slot + 3][authors[slot : slot + 3] > 0]
        assert len(np.unique(known)) == len(known)
    assert not any("relaxed" in note for note in notes)
