"""What a feed has been told of."""

from __future__ import annotations

import math

import numpy as np

from audiences import items
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.catalogue import Catalogue


def test_rows_count_in_order_of_description() -> None:
    told = Catalogue()
    told.take(items(["b", "a"], ['{"duration_s": 7.5}', '{"title": "x"}']))
    told.take(EventBatch.concat([items(["c"]), EventBatch.of({"kind": int(Kind.USER), "user_id": ["u"]})]))
    assert told.ids == ["b", "a", "c"]
    assert told.on.tolist() == [0, 1, 2]
    assert told.duration_s[0] == 7.5
    assert math.isnan(told.duration_s[1])


def test_what_is_taken_down_keeps_its_row() -> None:
    told = Catalogue()
    told.take(items(["a", "b", "c"], ['{"duration_s": 3}', "{}", '{"available": false}']))
    told.take(items(["a"], ['{"deleted": true}']))
    assert told.is_on.tolist() == [False, True, False]
    assert told.on.tolist() == [1]
    told.take(items(["c", "d"], ['{"available": true}', "{}"]))
    assert told.on.tolist() == [1, 2, 3]
    assert told.duration_s[0] == 3


def test_long_views_are_long_or_whole() -> None:
    told = Catalogue()
    told.take(items(["a", "b", "c"], ['{"duration_s": 5}', '{"duration_s": 60}', "{}"]))
    item = np.array([0, 0, 1, 1, 2, 2], np.int32)
    seconds = np.array([4.9, 5, 17.9, 18, 17, 18], np.float32)
    assert told.long_views(item, seconds, 18).tolist() == [False, True, False, True, False, True]


def test_nothing() -> None:
    told = Catalogue()
    told.take(EventBatch.empty())
    assert (len(told), len(told.on)) == (0, 0)
