"""Diaries as tables."""

from __future__ import annotations

import numpy as np

from feedmill.sim.diary import VideoDays, columns


def test_columns_of_a_table() -> None:
    day, item, views = (np.array([k], np.int32) for k in (0, 5, 2))
    rows = VideoDays(day, item, views, np.array([3.0]), np.array([4.0]))
    assert {name: column.tolist() for name, column in columns(rows).items()} == {
        "day": [0],
        "item": [5],
        "views": [2],
        "seconds": [3.0],
        "expected": [4.0],
    }
    assert len(rows) == 1
    assert columns(None) == {}
