from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rule import candidates
from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank.slots import Slots, SlotsConfig
from feedmill.state import State, StateConfig

NOW_MS, HOUR_MS = 1_700_000_000_000, 3_600_000
ADS, HOUSE = range(21, 26), range(26, 29)


def marked(state: State, ids: Sequence[str], **about: Any) -> None:
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": list(ids), "payload": json.dumps(about)}))


def world(**parameters: Any) -> State:
    """Items i1 to i28 in rows 1 to 28: 20 of nobody's, five advertisements that bid 5 to 1, three of the house."""
    state = State(StateConfig(**parameters))
    marked(state, [f"i{row}" for row in range(1, 21)])
    for row in ADS:
        marked(state, [f"i{row}"], slot="ad", bid=26 - row)
    marked(state, [f"i{row}" for row in HOUSE], slot="operations")
    return state


WORLD = world()


def apply(
    items: Sequence[int], k: int, state: State = WORLD, shown: Sequence[int] = (), n: int = 10, **parameters: Any
) -> Picks:
    """Candidates come in the order given, worth len, len - 1, … 1."""
    batch = candidates(items, range(1, len(items) + 1))
    exclude = tuple(f"i{row}" for row in shown)
    request = FeedRequest(request_id="r", user_id="u1", time_ms=NOW_MS, n=n, exclude=exclude)
    picks = Slots(convert(parameters, SlotsConfig), state).apply(request, batch, k)
    assert len(picks.rows) == len(picks.notes)
    return picks._replace(rows=batch.item[picks.rows])


def items(picks: Picks) -> list[int]:
    return [int(row) for row in picks.rows]


def test_fixed_slots_have_members_and_the_others_close_up() -> None:
    picks = apply([1, 2, 21, 3, 4, 22, 23, 5, 6], 6, at=[1, 4])
    assert items(picks) == [21, 1, 2, 22, 3, 4]
    assert picks.notes == (
        "ad slot 1, moved it up from 3 to 1",
        "ad slots moved it down from 1 to 2",
        "ad slots moved it down from 2 to 3",
        "ad slot 4, moved it up from 6 to 4",
        "ad slots moved it down from 4 to 5",
        "ad slots moved it down from 5 to 6",
    )


def test_free_placement_is_as_early_as_first_gap_most_and_load_allow() -> None:
    organic, ads = list(range(1, 21)), list(ADS)
    assert np.flatnonzero(np.isin(apply(organic + ads, 20, first=3, gap=5).rows, ads)).tolist() == [2, 7, 12, 17]
    assert np.flatnonzero(np.isin(apply(organic + ads, 20, first=3, gap=5, most=2).rows, ads)).tolist() == [2, 7]
    assert np.flatnonzero(np.isin(apply(organic + ads, 20, load=0.25).rows, ads)).tolist() == [3, 7, 11, 15, 19]
    assert np.flatnonzero(np.isin(apply(organic + ads, 20, load=0.25, gap=6).rows, ads)).tolist() == [3, 9, 15]


def test_slots_are_counted_over_pages() -> None:
    """Slot 10 of the first page was an advertisement: with a gap of 6 the next one is in slot 16, the sixth here."""
    first = [*range(1, 10), 21]
    picks = apply([*range(10, 19), 22, 23], 8, shown=first, gap=6)
    assert items(picks) == [10, 11, 12, 13, 14, 22, 15, 16]
    assert picks.notes[5] == "ad slot 16, moved it up from 10 to 6"
    assert items(apply([11, 12, 22], 3, shown=first, at=[10, 12])) == [11, 22, 12]
    assert items(apply([11, 12, 22], 3, shown=first, first=11, gap=1, most=1)) == [22, 11, 12]
    assert items(apply([11, 12, 22], 3, shown=first, load=0.1)) == [11, 12], "2 of 13 were more than a tenth"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"at": [2], "first": 3}, "ad slot 2 relaxed: the first slot allowed is 3"),
        ({"at": [1, 2], "gap": 3}, "ad slot 2 relaxed: the one before is in slot 1, and the gap is 3"),
        ({"at": [1, 2], "most": 1}, "ad slot 2 relaxed: the page has its 1"),
        ({"at": [2], "load": 0.4}, "ad slot 2 relaxed: it would be 1 of 2 slots, and the load is 0.4"),
        ({"at": [2], "value": "nothing"}, "nothing slot 2 relaxed: none is left"),
    ],
)
def test_a_fixed_slot_yields_and_says_to_what(parameters: dict[str, Any], said: str) -> None:
    picks = apply([1, 2, 3, 21, 22, 23], 3, **parameters)
    assert picks.notes[1].startswith(said)
    assert items(picks)[1] in (1, 2)


def test_the_feed_ends_early_rather_than_break_a_limit() -> None:
    assert items(apply([1, 2, 3, *ADS], 8, load=0.5)) == [1, 21, 2, 22, 3, 23]
    assert items(apply([1, 2, 3, *ADS], 8, gap=3)) == [21, 1, 2, 22, 3]
    assert items(apply([*ADS], 5, first=2, gap=2)) == []


def test_a_number_orders_them_or_else_their_value() -> None:
    assert items(apply([1, 2, 25, 23, 21], 3, at=[1, 2])) == [25, 23, 1]
    assert items(apply([1, 2, 25, 23, 21], 3, at=[1, 2], order="bid")) == [21, 23, 1]
    assert items(apply([1, 2, 25, 23, 21], 3, at=[1, 2], order="nothing has it")) == [25, 23, 1]


def test_two_groups_by_two_rules_in_either_order() -> None:
    """What one rule has placed the other goes around."""
    house = Slots(SlotsConfig(value="operations", at=(2, 5)), WORLD)
    ads = Slots(SlotsConfig(first=2, gap=3), WORLD)
    request = FeedRequest(request_id="r", user_id="u", n=8, time_ms=NOW_MS)
    for first, last in ((house, ads), (ads, house)):
        batch = candidates([1, 2, 3, 4, 5, 6, 7, 8, 26, 27, 21, 22], range(12))
        for rule, k in ((first, 12), (last, 8)):
            batch = batch.take(rule.apply(request, batch, k).rows)
        slots = batch.item.tolist()
        assert [slots[1], slots[4]] == [26, 27], "fixed is fixed"
        at = [i + 1 for i, item in enumerate(slots) if item in ADS]
        assert at[0] >= 2
        assert all(b - a >= 3 for a, b in pairwise(at))
        if last is ads:
            assert slots == [1, 26, 21, 2, 27, 22, 3, 4]


def test_the_cost_is_the_organic_value_that_had_to_give_way() -> None:
    """Worth 7, 6, …: the best four others are worth 7 + 6 + 4 + 3; of those only three come, and they cost 3."""
    picks = apply([1, 2, 21, 3, 4, 22, 5], 4, n=4, at=[3])
    assert items(picks) == [1, 2, 21, 3]
    assert picks.cost == pytest.approx(3.0)
    assert apply([1, 2, 3], 3, at=[1]).cost == 0.0
    lowest = float(np.finfo(np.float32).min)
    sunk = candidates([21, 1, 2], [1.0, 0.5, lowest])
    request = FeedRequest(request_id="r", user_id="u", n=2)
    assert Slots(SlotsConfig(at=(1,)), WORLD).apply(request, sunk, 2).cost == 0.0, "what has no value costs nothing"


def test_marks_are_set_and_cleared_by_events() -> None:
    state = world()
    rule = Slots(SlotsConfig(at=(1,)), state)
    request = FeedRequest(request_id="r", user_id="u")
    batch = candidates([1, 2, 3], [3, 2, 1])
    assert rule.apply(request, batch, 3).rows.tolist() == [0, 1, 2]
    marked(state, ["i3"], slot="ad")
    assert rule.apply(request, batch, 3).rows.tolist() == [2, 0, 1]
    marked(state, ["i3"], slot=None)
    assert rule.apply(request, batch, 3).rows.tolist() == [0, 1, 2]


def test_a_catalogue_without_the_attribute() -> None:
    state = State()
    marked(state, ["i1", "i2"])
    assert items(apply([1, 2], 2, state, gap=2)) == [1, 2]


def shown(state: State, item: int, user: str, *hours_ago: float) -> None:
    rows = [
        {"kind": Kind.IMPRESSION, "user_id": user, "item_id": f"i{item}", "time_ms": int(NOW_MS - h * HOUR_MS)}
        for h in hours_ago
    ]
    state.fold(EventBatch.rows(rows))


def test_pacing_rests_what_has_been_shown_enough() -> None:
    """Ten impressions just now are 10 an hour by a counter of an hour, and 10 / 24 by one of a day."""
    state = world(counts=("impression.1h", "impression.1d"))
    shown(state, 21, "somebody", *[0.0] * 10)
    assert items(apply([1, 2, 21, 22], 3, state, at=[1], per_hour=10.1)) == [21, 1, 2]
    assert items(apply([1, 2, 21, 22], 3, state, at=[1], per_hour=10.0)) == [22, 1, 2]
    rest = apply([1, 2, 21], 3, state, at=[1], per_hour=9.0)
    assert rest.notes[0] == "ad slot 1 relaxed: none is left, 1 rest: shown 9 times an hour or more"
    by_day = world(counts=("impression.1d",))
    shown(by_day, 21, "somebody", *[0.0] * 10)
    assert items(apply([1, 21, 22], 2, by_day, at=[1], per_hour=10 / 24 + 0.01)) == [21, 1]
    assert items(apply([1, 21, 22], 2, by_day, at=[1], per_hour=10 / 24 - 0.01)) == [22, 1]


def test_what_has_rested_comes_back() -> None:
    """A count of 10 has decayed to 10 / e after the time constant."""
    state = world(counts=("impression.1h",))
    shown(state, 21, "somebody", *[1.0] * 10)
    assert items(apply([1, 21], 2, state, at=[1], per_hour=10 / np.e + 0.01)) == [21, 1]
    assert items(apply([1, 21], 2, state, at=[1], per_hour=10 / np.e - 0.01)) == [1]


def test_a_user_sees_so_many_in_a_day() -> None:
    state = world()
    shown(state, 21, "u1", 25.0)  # yesterday
    shown(state, 22, "u1", 3.0)
    shown(state, 5, "u1", 2.0)
    shown(state, 22, "u1", 1.0)
    assert items(apply([1, 2, 21, 23], 4, state, at=[1, 2], per_user_day=3)) == [21, 1, 2], "two so far, so one more"
    relaxed = apply([1, 2, 21, 23], 4, state, at=[1, 2], per_user_day=2)
    assert items(relaxed) == [1, 2]
    assert relaxed.notes[0] == "ad slot 1 relaxed: the user has seen 2 in 24 hours"
    assert items(apply([1, 21], 2, state, shown=[24], at=[2], per_user_day=3)) == [1], "page 1 is not in the log yet"


def test_a_history_shorter_than_a_day_is_said() -> None:
    state = world(history_len=4)
    for item, ago in ((1, 9.0), (2, 6.0), (22, 4.0), (3, 2.0), (4, 1.0)):
        shown(state, item, "u1", ago)
    picks = apply([5, 21], 2, state, at=[1], per_user_day=4)
    assert picks.notes[0] == (
        "ad slot 1, moved it up from 2 to 1, a day's counted over the last 6 hours of the history"
    )


@settings(max_examples=150, deadline=None)
@given(
    st.permutations(range(1, 29)).flatmap(lambda order: st.integers(0, 28).map(lambda n: order[:n])),
    st.lists(st.integers(1, 28), unique=True, max_size=12),
    st.integers(1, 15),
    st.fixed_dictionaries(
        {
            "at": st.lists(st.integers(1, 20), max_size=4),
            "first": st.integers(1, 8),
            "gap": st.integers(2, 7),
            "most": st.integers(0, 3),
            "load": st.sampled_from([0.1, 0.3, 0.5, 1.0]),
        }
    ),
)
def test_limits_always_hold_and_no_free_slot_is_missed(
    order: list[int], before: list[int], k: int, parameters: dict[str, Any]
) -> None:
    """Against the words of the config, slot by slot over the whole feed."""
    there = [item for item in order if item not in before]
    picks = apply(there, k, shown=before, **parameters)
    feed, start, c = [*before, *items(picks)], len(before), SlotsConfig(**{**parameters, "at": tuple(parameters["at"])})
    left = [item for item in there if item in ADS]

    def allowed(slot: int) -> bool:
        earlier = [s for s, item in enumerate(feed[: slot - 1], start=1) if item in ADS]
        here = sum(s > start for s in earlier)
        return (
            slot >= c.first
            and (not earlier or slot - earlier[-1] >= c.gap)
            and (not c.most or here < c.most)
            and len(earlier) + 1 <= c.load * slot + 1e-9
            and here < len(left)
        )

    for slot in range(start + 1, len(feed) + 1):
        is_ad = feed[slot - 1] in ADS
        was_at_home = slot - start - 1 < len(there) and feed[slot - 1] in HOUSE
        if c.at:
            assert is_ad == (slot in c.at and allowed(slot))
            assert ("relaxed" in picks.notes[slot - start - 1]) == (slot in c.at and not is_ad)
        else:
            assert is_ad == allowed(slot) or (not is_ad and was_at_home)
    assert [i for i in items(picks) if i <= 20] == [i for i in there if i <= 20][: sum(i <= 20 for i in items(picks))]
    others = [i for i in there if i not in ADS]
    assert len(picks.rows) == min(k, len(there)) or set(others) <= set(items(picks)), "short only without others"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "would fill the feed"),
        ({"at": [0]}, "at"),
        ({"gap": 0}, "gap"),
        ({"load": 0}, "load"),
        ({"gap": 101}, "gap"),
        ({"slot": 3}, "slot"),
    ],
)
def test_a_wrong_config_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(wrong, SlotsConfig, "rerank.rules[0]")


def test_what_the_state_does_not_keep_is_refused() -> None:
    with pytest.raises(ConfigError, match="impression"):
        Slots(SlotsConfig(gap=2, per_hour=5.0), State(StateConfig(counts=("impression.all",))))
    with pytest.raises(ConfigError, match="history_len"):
        Slots(SlotsConfig(gap=2, per_user_day=51), State())


def test_members_are_told() -> None:
    batch: CandidateBatch = candidates([1, 21, 26], [3, 2, 1])
    assert Slots(SlotsConfig(gap=2), WORLD).members(batch).tolist() == [False, True, False]
