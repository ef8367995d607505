import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.events import SCHEMA, EventBatch, Kind


def test_missing_columns_take_their_defaults() -> None:
    batch = EventBatch.rows([{"time_ms": 5, "kind": Kind.CLICK, "user_id": 7, "item_id": "x"}])
    assert batch.table.to_pylist() == [
        {
            "time_ms": 5, "kind": 1, "user_id": "7", "item_id": "x", "value": 1.0,
            "request_id": "", "position": -1, "event_id": "", "payload": "",
        }
    ]  # fmt: skip


def test_scalars_are_repeated_and_lengths_must_agree() -> None:
    batch = EventBatch.of({"user_id": ["a", "b"], "kind": 1})
    assert batch.numpy("kind").tolist() == [1, 1]
    with pytest.raises(TypeError, match="differ in length"):
        EventBatch.of({"user_id": ["a", "b"], "time_ms": [1]})


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(TypeError, match="itme_id"):
        EventBatch.of({"itme_id": ["a"]})


@given(st.lists(st.tuples(st.integers(0, 2**40), st.text(max_size=8))), st.integers(0, 10), st.integers(0, 10))
def test_slices_and_concat_keep_order(rows: list[tuple[int, str]], a: int, b: int) -> None:
    batch = EventBatch.rows([{"time_ms": t, "user_id": u} for t, u in rows])
    low, high = sorted((a, b))
    parts = EventBatch.concat([batch[:low], batch[low:high], batch[high:]])
    assert parts.table.to_pylist() == batch.table.to_pylist()
    assert parts.table.schema == SCHEMA


def test_numbers_are_read_without_a_copy() -> None:
    batch = EventBatch.of({"time_ms": np.arange(1000), "user_id": "u"})
    first, second = batch.numpy("time_ms"), batch.numpy("time_ms")
    assert np.shares_memory(first, second)


def test_a_slice_of_a_source_knows_its_row() -> None:
    batch = EventBatch.of({"time_ms": np.arange(10)}, source="file", source_row=100)
    assert (batch[3:5].source, batch[3:5].source_row, len(batch[3:5])) == ("file", 103, 2)
