from __future__ import annotations

import numpy as np

from feedmill.core.events import EventBatch, Kind
from feedmill.features.side import SideFields, side_fields
from feedmill.state import State


def test_fields_share_one_numbering() -> None:
    brand, topics = np.array([[0], [1], [2]], np.int32), np.array([[0, 0], [1, 3], [2, 0]], np.int32)
    fields = SideFields.of([brand, np.zeros((3, 1), np.int32), topics])
    assert fields is not None
    assert fields.ids.tolist() == [[0, 0, 0], [1, 3, 5], [2, 4, 0]]
    assert fields.starts == [0, 1, 3]
    assert fields.n == 5
    assert SideFields.of([np.zeros((3, 1), np.int32)]) is None


def test_what_a_state_knows() -> None:
    state = State()
    payloads = ['{"author_id": "x", "topics": ["t"], "brand": "b"}', '{"brand": "c"}']
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ["a", "b"], "payload": payloads}))
    fields = side_fields(state)
    assert fields is not None
    assert fields.ids[0].tolist() == [0] * fields.starts[-1]
    assert len(fields.starts) == 4  # author, topics, brand
    assert len(np.unique(fields.ids[fields.ids > 0])) == 4
    assert side_fields(State()) is None
