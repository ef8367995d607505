from __future__ import annotations

from pathlib import Path

from feedmill.core.workspace import Workspace
from feedmill.state import State
from feedmill.train.rank.finish_length import finish_length_part
from shown_worlds import impressions
from worlds import tastes

ADJUSTED = {"rerank": {"fusion": {"finish": "length_adjusted"}}}


def test_a_curve_is_fitted_where_it_is_asked_for_and_can_be() -> None:
    events, _ = impressions(4000, rate=0.3)
    state = State()
    state.fold(events)
    parts = finish_length_part(Workspace(Path(), ADJUSTED), events, state, 0)
    factor = parts["finish_length"].arrays["factor"]
    assert factor[0] > 1.5 > 0.9 > factor[-1], "short items are finished more often"
    assert finish_length_part(Workspace(Path(), {}), events, state, 0) == {}


def test_without_impressions_there_is_none() -> None:
    events = tastes()
    state = State()
    state.fold(events)
    assert finish_length_part(Workspace(Path(), ADJUSTED), events, state, 0) == {}
