"""Views as a client's events, by hand."""

from __future__ import annotations

import numpy as np

from audiences import START_MS, asks, items, views
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.events import Known, feedback, padded
from feedmill.sim.views import Slates


def people(*ids: str) -> EventBatch:
    return EventBatch.of({"kind": int(Kind.USER), "user_id": list(ids), "payload": "{}"})


def known() -> Known:
    out = Known()
    described = items(["v0", "v1", "v2"], ['{"duration_s": 10}', '{"duration_s": 20}', "{}"])
    out.take(EventBatch.concat([described, people("u0", "u1")]))
    return out


def test_rows_count_in_order_of_first_description() -> None:
    of = known()
    of.take(EventBatch.concat([items(["v1", "v3"], ['{"deleted": true}', "{}"]), people("u0", "u2")]))
    assert of.users == ["u0", "u1", "u2"]
    assert of.videos.ids == ["v0", "v1", "v2", "v3"]
    assert of.rows(["v3", "v0", "unheard of"]) == [3, 0, -1]


def test_a_view_becomes_the_events_of_a_client_in_order_of_time() -> None:
    liked_and_disliked = 0b10001
    seen = views([(0, 1, 0, 12.0), (1, 0, 1, 2.5), (1, 0, 2, 4.0)], reactions=[1, 0, liked_and_disliked])
    batch = feedback(asks([1, 0]), Slates(np.zeros((2, 2), np.int32), ["r1", "r2"]), seen, known())
    rows = batch.table.to_pylist()
    told = [(r["time_ms"] - START_MS, Kind(r["kind"]), r["user_id"], r["item_id"], r["value"]) for r in rows]
    assert told == [
        (3000, Kind.CLICK, "u1", "v0", 1.0),
        (5000, Kind.CLICK, "u0", "v2", 1.0),
        (6000, Kind.WATCH, "u0", "v2", 4.0),
        (6000, Kind.LIKE, "u0", "v2", 1.0),
        (6000, Kind.DISLIKE, "u0", "v2", 1.0),
        (12000, Kind.WATCH, "u1", "v0", 12.0),
        (12000, Kind.FINISH, "u1", "v0", 1.0),
        (12000, Kind.LIKE, "u1", "v0", 1.0),
    ]
    assert [r["request_id"] for r in rows] == ["r1", "r2", "r2", "r2", "r2", "r1", "r1", "r1"]
    assert [r["position"] for r in rows] == [0, 1, 1, 1, 1, 0, 0, 0]


def test_who_swipes_past_tells_nothing_but_what_was_said() -> None:
    assert len(feedback(asks([0]), Slates(np.zeros((1, 1), np.int32)), views([]), known())) == 0
    unseen = feedback(asks([0]), Slates(np.zeros((1, 1), np.int32), ["r"]), views([(0, 0, 0, 2.9)]), known())
    assert len(unseen) == 0


def test_request_ids_are_the_same_for_the_same_seed_and_never_come_twice() -> None:
    first, again, other = known(), known(), known()
    ids = first.request_ids(5, 1) + first.request_ids(5, 1)
    assert ids == again.request_ids(10, 1)
    assert len(set(ids)) == 10
    assert not set(ids) & set(other.request_ids(10, 2))


def test_short_slates_are_filled_up_with_nothing() -> None:
    assert padded([[3, 1], [], [5, 6, 7, 8]], 3).tolist() == [[3, 1, -1], [-1, -1, -1], [5, 6, 7]]
