from __future__ import annotations

import math

import pytest

from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedItem, Trace
from feedmill.metrics.exploration import exploration


def trace(request: str, user: str, **channels: dict[str, float]) -> Trace:
    items = [
        FeedItem(item_id=i, title="", position=k, value=0, channels=c, scores={}, why="")
        for k, (i, c) in enumerate(channels.items())
    ]
    return Trace(request_id=request, user_id=user, time_ms=0, items=items)


def clicks(*pairs: tuple[str, str], kind: Kind = Kind.CLICK) -> EventBatch:
    return EventBatch.of({"kind": int(kind), "request_id": [r for r, _ in pairs], "item_id": [i for _, i in pairs]})


DRAWN, NEW, KNOWN = {"fresh": 1.9}, {"fresh": 0.5}, {"itemcf": 3.0}
TRACES = [
    trace("r1", "u", a=DRAWN, b=KNOWN, c=KNOWN, d=NEW),
    trace("r2", "v", e=DRAWN, f=KNOWN, g={**DRAWN, **KNOWN}),
    trace("r3", "w", h=KNOWN),
    trace("r1", "u", a=DRAWN, b=KNOWN, c=KNOWN, d=NEW),
]


def test_shares_and_rates_by_hand() -> None:
    """2 of 8 places; 1 of 2 draws and 3 of 6 others clicked; per user 1/1 - 1/3 and 0/1 - 1/2."""
    events = EventBatch.concat(
        [
            clicks(("r1", "a"), ("r1", "b"), ("r3", "h"), ("r3", "h"), ("r1", "e"), ("", "a")),
            clicks(("r2", "g"), kind=Kind.WATCH),
            clicks(("r2", "f"), ("r2", "e"), kind=Kind.IMPRESSION),
        ]
    )
    cost = exploration(TRACES, events)
    assert (cost.n_shown, cost.n_explored, cost.share) == (8, 2, 0.25)
    assert (cost.click_rate, cost.click_rate_others) == (0.5, 0.5)
    assert cost.clicks_forgone == 0
    assert cost.difference.mean == pytest.approx((2 / 3 - 1 / 2) / 2)
    assert cost.difference.n == 2


def test_draws_that_nobody_clicks_cost_what_others_would_have_brought() -> None:
    cost = exploration(TRACES, clicks(("r1", "b"), ("r2", "g"), ("r3", "h")))
    assert cost.clicks_forgone == 2 * 0.5
    assert cost.difference.low <= cost.difference.mean <= cost.difference.high < 0


def test_nothing_shown() -> None:
    cost = exploration([], EventBatch.empty())
    assert cost.n_shown == 0
    assert math.isnan(cost.share)
    assert math.isnan(cost.difference.mean)
