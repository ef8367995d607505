from __future__ import annotations

import numpy as np

from feedmill.retrieval.table import Table


def table(values: list[float]) -> Table:
    user, item = np.array([2, 1, 2], np.int32), np.array([1, 3, 3], np.int32)
    return Table.of(user, item, np.array(values, np.float32), 3, 4)


def test_entries_are_grouped_both_ways_and_items_stand_by_popularity() -> None:
    found = table([0.5, 1, 2])
    assert found.items.tolist() == [3, 1, 0, 2]
    assert found.user_ptr.tolist() == [0, 0, 1, 3]
    assert found.user_places.tolist() == [0, 0, 1]
    assert found.user_values.tolist() == [1, 2, 0.5]
    assert found.item_ptr.tolist() == [0, 2, 3, 3, 3]
    assert found.item_users.tolist() == [1, 2, 2]
    assert found.item_values.tolist() == [1, 2, 0.5]
    assert found.norms().tolist() == [5, 0.25, 0, 0]
    assert found.counts().tolist() == [2, 1, 0, 0]
    assert found.work().tolist() == [3, 2, 0, 0]


def test_values_that_go_by_user_are_kept_once() -> None:
    assert len(table([2, 1, 2]).user_values) == 0
    assert table([2, 1, 2]).item_values.tolist() == [1, 2, 2]
