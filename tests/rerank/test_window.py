from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct

from contracts.rule import REQUEST, candidates, some, state
from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.rerank.window import Window, WindowConfig
from feedmill.state import State

DAY_MS, NOW_MS = 86_400_000, 1_700_000_000_000


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


def plain_quota(is_member: list[bool], k: int, at_least: int, window: int) -> list[int]:
    """At least so many of the members in every whole window, as late as can be."""
    left, picked = list(range(len(is_member))), []
    while left and len(picked) < k:
        before = picked[max(0, len(picked) - window + 1) :]
        to_come = max(0, window - 1 - len(picked))
        needed = sum(is_member[j] for j in before) + to_come < at_least
        fits = [i for i in left if is_member[i] or not needed]
        picked.append(fits[0] if fits else left[0])
        left.remove(picked[-1])
    return picked


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3), st.integers(1, 8), st.integers(0, 99))
def test_at_least_so_many_of_an_author_in_every_whole_window(
    n: int, k: int, at_least: int, window: int, seed: int
) -> None:
    at_least = min(at_least, window)
    batch = some(n, seed)
    rows, notes = apply(batch, k, of="a1", at_least=at_least, at_most=window, window=window)
    is_member = [state().catalogue.authors.id(a) == "a1" for a in state().catalogue.author[batch.item]]
    assert rows == plain_quota(is_member, k, at_least, window)
    for end in range(window, len(rows) + 1):
        enough = sum(is_member[j] for j in rows[end - window : end]) >= at_least
        assert enough or any("relaxed: fewer" in note for note in notes[:end])


def test_one_author_alone_is_held_back() -> None:
    batch = some(40)
    rows, notes = apply(batch, 30, of="a2", at_most=1, window=10)
    authors = [state().catalogue.authors.id(a) for a in state().catalogue.author[batch.item[rows]]]
    assert all(authors[s : s + 10].count("a2") <= 1 for s in range(20) if "relaxed" not in "".join(notes))
    assert all("a2" in note or "held back" in note for note in notes if note)


def test_channels_have_quotas() -> None:
    """Ten of "itemcf" come first; one in three is to be of "popular", and none may be alone with more than two."""
    found = np.full((20, 2), np.nan, np.float32)
    found[:10, 0], found[10:, 1] = 1, 1
    batch = replace(
        candidates(range(1, 21), np.linspace(1, 0, 20).tolist()), found=found, channels=("itemcf", "popular")
    )
    rows, notes = apply(batch, 9, by="channel", of="popular", at_least=1, at_most=3, window=3)
    assert rows == [0, 1, 10, 2, 3, 11, 4, 5, 12]
    assert "1 of channel popular belong in 3 slots" in notes[2]
    assert apply(batch, 6, by="channel", at_most=2, window=3)[0] == [0, 1, 10, 2, 3, 11]
    assert apply(batch, 5, by="channel", of="unheard", at_least=1, at_most=5, window=5)[0] == [0, 1, 2, 3, 4]


def test_what_is_new_has_its_place() -> None:
    days = [400, 300, 200, 100, 50, 3, 0]
    fresh = State()
    fresh.fold(
        EventBatch.of(
            {
                "kind": int(Kind.ITEM),
                "item_id": [f"i{d}" for d in days],
                "payload": [json.dumps({"publish_ms": NOW_MS - d * DAY_MS}) for d in days],
            }
        )
    )
    batch = candidates(range(1, 8), np.linspace(1, 0, 7).tolist())
    config = WindowConfig(by="fresh", max_age_days=7, at_least=1, at_most=4, window=4)
    request = replace_struct(REQUEST, time_ms=NOW_MS)
    picks = Window(config, fresh).apply(request, batch, 7)
    assert picks.rows.tolist() == [0, 1, 2, 5, 3, 4, 6]
    assert "what is new" in picks.notes[3]
    assert Window(config, fresh).apply(request, batch.take(np.arange(4)), 4).notes[3].startswith("fresh window relaxed")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"at_least": 2, "of": "a"}, "set at_most = 4"),
        ({"at_least": 6, "at_most": 9, "window": 5, "of": "a"}, "at_least 6"),
        ({"at_least": 1}, "at_least of any author"),
        ({"by": "colour"}, "colour"),
    ],
)
def test_what_cannot_hold_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(wrong, WindowConfig, "rerank.rules[0]")
