from __future__ import annotations

import numpy as np
import pytest

from contracts.channel import REQUEST, viewer
from feedmill.core.batches import Floats, Part, UserColumns
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.vector import VectorChannel, VectorConfig
from feedmill.state import State

VECTORS = np.array([[9, 9], [1, 0], [5, 0], [0, 1], [2, 2]], np.float32)


def state_with(payloads: list[str]) -> State:
    state = State()
    ids = [f"i{row}" for row in range(1, len(payloads) + 1)]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": payloads}))
    return state


def channel(metric: str, vector: list[float], state: State | None = None) -> VectorChannel:
    def encoder(user: UserColumns) -> Floats:
        return np.array([vector] * len(user), np.float32)

    part = Part("vector", {}, {"item_vectors": VECTORS})
    config = VectorConfig(metric=metric)  # type: ignore[arg-type]
    return VectorChannel("tower", config, part, state or state_with(["{}"] * 4), encoder=encoder)


def test_nearest_by_inner_product() -> None:
    batch = channel("inner_product", [1, 0.1]).fetch(REQUEST, viewer(), 3)
    assert batch.item.tolist() == [2, 4, 1]
    assert batch.found[:, 0].tolist() == pytest.approx([5, 2.2, 1])


def test_nearest_by_cosine() -> None:
    batch = channel("cosine", [3, 0]).fetch(REQUEST, viewer(), 4)
    assert batch.item.tolist() == [1, 2, 4, 3]
    assert batch.found[:, 0].tolist() == pytest.approx([1, 1, 0.5**0.5, 0])


def test_unavailable_items_take_no_places() -> None:
    state = state_with(["{}", '{"available": false}', "{}", "{}"])
    tower = channel("inner_product", [1, 0.1], state)
    assert tower.fetch(REQUEST, viewer(), 2).item.tolist() == [4, 1]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ["i4"], "payload": ['{"deleted": true}']}))
    assert tower.fetch(REQUEST, viewer(), 2).item.tolist() == [1, 3]


def test_items_the_state_has_not_met_are_not_shown() -> None:
    assert channel("inner_product", [1, 1], state_with(["{}"])).fetch(REQUEST, viewer(), 9).item.tolist() == [1]


def test_items_newer_than_the_artifact_are_no_matter() -> None:
    assert len(channel("inner_product", [1, 1], state_with(["{}"] * 9)).fetch(REQUEST, viewer(), 9)) == 4


def test_a_user_vector_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DataError, match="not finite"):
        channel("inner_product", [np.nan, 1]).fetch(REQUEST, viewer(), 9)
