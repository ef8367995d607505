from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from contracts.channel import REQUEST, viewer
from feedmill.core.batches import Floats, Part, UserColumns
from feedmill.core.config import convert
from feedmill.core.errors import ArtifactError, ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.index import VectorIndex
from feedmill.retrieval.vector import VectorChannel, VectorConfig, open_index, with_index
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


def test_nearest_by_distance() -> None:
    batch = channel("l2", [1, 0.5]).fetch(REQUEST, viewer(), 4)
    assert batch.item.tolist() == [1, 3, 4, 2]
    assert batch.found[:, 0].tolist() == pytest.approx([-0.25, -1.25, -3.25, -16.25])


def test_a_user_without_a_vector_gets_no_answer() -> None:
    assert len(channel("inner_product", [0, 0]).fetch(REQUEST, viewer(), 4)) == 0


def test_items_without_a_vector_are_left_to_other_channels() -> None:
    vectors = VECTORS.copy()
    vectors[2] = 0
    part = Part("vector", {}, {"item_vectors": vectors, "user_vectors": VECTORS})
    lookup = VectorChannel("mf", VectorConfig(), part, state_with(["{}"] * 4))
    assert lookup.fetch(REQUEST, viewer(1), 9).item.tolist() == [4, 1, 3]


# Matrix completion: users are looked up


def test_users_are_looked_up_by_row() -> None:
    users = np.array([[7, 7], [1, 0.1], [0, 1]], np.float32)
    part = Part("vector", {}, {"item_vectors": VECTORS, "user_vectors": users})
    lookup = VectorChannel("mf", VectorConfig(), part, state_with(["{}"] * 4))
    assert lookup.fetch(REQUEST, viewer(1), 2).item.tolist() == [2, 4]
    assert lookup.fetch(REQUEST, viewer(2), 2).item.tolist() == [4, 3]
    for stranger in (0, 3, 999):
        assert len(lookup.fetch(REQUEST, viewer(stranger), 9)) == 0


# The index of a part

MANY = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
USERS = np.random.default_rng(1).standard_normal((50, 8)).astype(np.float32)


def many(index: str | dict[str, Any], metric: str = "cosine") -> tuple[VectorConfig, Part]:
    config = convert({"metric": metric, "index": index}, VectorConfig)
    return config, with_index(Part("vector", {"model": "m"}, {"item_vectors": MANY, "user_vectors": USERS}), config, 3)


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "lsh"])
def test_a_stored_index_is_opened_and_not_built(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, part = many(kind)
    assert part.config["model"] == "m"
    report = part.config["index"]
    assert (report["kind"], report["queries"], report["n_items"]) == (kind, "users", 2999)
    assert report["recall"] >= 0.95
    msgspec.json.encode(report)
    monkeypatch.setattr(VectorIndex, "build", None)
    opened = open_index(part, config)
    assert opened.kind == kind
    assert opened.search(USERS, 10)[0].shape == (50, 10)


def test_a_flat_index_is_not_stored_but_reported() -> None:
    config, part = many("auto")
    assert set(part.arrays) == {"item_vectors", "user_vectors"}
    assert part.config["index"]["kind"] == "flat"
    assert part.config["index"]["asked"]["kind"] == "auto"
    assert open_index(part, config).kind == "flat"


def test_another_index_than_was_stored_is_built_and_said(caplog: pytest.LogCaptureFixture) -> None:
    config, part = many("ivf")
    assert open_index(part, config).kind == "ivf"
    assert not caplog.text
    for other in ({"index": "flat"}, {"index": {"kind": "ivf", "n_probe": 3}}, {"metric": "l2", "index": "ivf"}):
        caplog.clear()
        wanted = convert({"metric": "cosine", **other}, VectorConfig)
        assert open_index(part, wanted, "tower").metric == wanted.metric
        assert "tower" in caplog.text
        assert "feedmill train" in caplog.text


def test_parts_that_cannot_be_used() -> None:
    config, part = many("ivf")
    with pytest.raises(ArtifactError, match="no array item_vectors"):
        open_index(Part("vector", {}, {}), config)
    for bad, said in ((np.nan, "not finite"), (np.inf, "not finite")):
        broken = np.where(np.arange(3000)[:, None] == 7, bad, MANY).astype(np.float32)
        with pytest.raises(ArtifactError, match=said):
            open_index(Part("vector", {}, {"item_vectors": broken}), config)
        with pytest.raises(DataError, match=said):
            with_index(Part("vector", {}, {"item_vectors": broken}), config, 3)
    with pytest.raises(ArtifactError, match="N x D"):
        open_index(Part("vector", {}, {"item_vectors": MANY[0]}), config)
    with pytest.raises(ArtifactError, match="vectors of shape"):
        open_index(replace(part, arrays={**part.arrays, "item_vectors": MANY[:-1]}), config)
    with pytest.raises(ArtifactError, match="cut short"):
        open_index(replace(part, arrays={**part.arrays, "index": part.arrays["index"][:-1]}), config)


def test_users_of_another_width_are_an_error() -> None:
    with pytest.raises(DataError, match="R x 2"):
        channel("inner_product", [1, 1, 1]).fetch(REQUEST, viewer(), 3)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"index": "hsnw"}, "hnsw"),
        ({"index": {"kind": "ivf", "n_prob": 3}}, "n_probe"),
        ({"index": {"kind": "ivf", "n_probe": 0}}, ">= 1"),
        ({"index": {}}, "kind"),
        ({"metric": "euclid"}, "euclid"),
    ],
)
def test_a_config_that_cannot_be_used(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(raw, VectorConfig, "retrieval.channels.tower")


# Items like an item


def test_items_like_an_item() -> None:
    tower = channel("cosine", [1, 1])
    assert tower.similar(1, 9).item.tolist() == [2, 4, 3]
    assert tower.similar(1, 1).item.tolist() == [2]
    hidden = channel("cosine", [1, 1], state_with(["{}", '{"available": false}', "{}", "{}"]))
    assert hidden.similar(1, 9).item.tolist() == [4, 3]
    for nothing in (0, 5, 999):
        assert len(tower.similar(nothing, 9)) == 0
