"""Which events are examples of retrieval, and what each weighs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.samples.positives import Positives, PositivesConfig, positives
from feedmill.state import State
from worlds import click


def state_of(events: EventBatch) -> State:
    state = State()
    state.fold(events)
    return state


def found(rows: list[dict[str, object]], **parameters: object) -> tuple[Positives, State]:
    events = EventBatch.rows(rows)
    state = state_of(events)
    return positives(events, state, convert(parameters, PositivesConfig)), state


def pairs(chosen: Positives, state: State) -> list[tuple[str, str]]:
    probe = chosen.probe
    return list(zip(state.users.ids(probe.user), state.items.ids(probe.item), strict=True))


def test_organic_choices_and_shown_ones_count_once_each() -> None:
    rows = [click(1, "a", "x"), click(2, "a", "x"), click(3, "a", "y", request_id="r"), click(4, "b", "x")]
    chosen, state = found(rows)
    assert pairs(chosen, state) == [("a", "x"), ("a", "y"), ("b", "x")]
    assert chosen.probe.at.tolist() == [0, 2, 3]
    assert (chosen.reward == 1).all()


def test_the_moment_is_before_the_feed_that_showed_it() -> None:
    """Else the impressions of the same feed would be known, the chosen item's among them."""
    shown = [click(5, "a", item, Kind.IMPRESSION, request_id="r", position=n) for n, item in enumerate("xyz")]
    rows = [click(1, "b", "x"), *shown, click(9, "a", "y", request_id="r")]
    chosen, state = found(rows)
    at = dict(zip(pairs(chosen, state), chosen.probe.at.tolist(), strict=True))
    assert at == {("b", "x"): 0, ("a", "y"): 1}


def test_the_newest_of_each_user_at_most() -> None:
    rows = [click(n, "busy", f"i{n}") for n in range(9)] + [click(20, "calm", "i1")]
    chosen, state = found(rows, examples_per_user=2)
    assert pairs(chosen, state) == [("busy", "i7"), ("busy", "i8"), ("calm", "i1")]


def test_rewards_are_seconds_or_their_share() -> None:
    item = {"kind": Kind.ITEM, "item_id": "x", "payload": json.dumps({"duration_s": 10})}
    rows = [
        item,
        click(1, "a", "x", Kind.WATCH, value=4.0),
        click(2, "b", "x"),
        click(3, "c", "x", Kind.WATCH, value=90.0),
    ]
    chosen, state = found(rows, reward="watch_s")
    assert dict(zip(pairs(chosen, state), chosen.reward.tolist(), strict=True)) == {
        ("a", "x"): 4.0, ("b", "x"): 0.0, ("c", "x"): 90.0,
    }  # fmt: skip
    chosen, _ = found(rows, reward="watch_ratio")
    np.testing.assert_allclose(sorted(chosen.reward), [0, 0.4, 3])


def test_only_finished_ones() -> None:
    rows = [click(1, "a", "x"), click(2, "a", "y", Kind.FINISH)]
    chosen, state = found(rows, head="finish")
    assert pairs(chosen, state) == [("a", "y")]


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(DataError, match="without a like"):
        found([click(1, "a", "x")], head="like")
    with pytest.raises(ConfigError, match="click"):
        convert({"head": "clik"}, PositivesConfig)
