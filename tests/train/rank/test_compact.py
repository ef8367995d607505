"""A ranker as it is published: the same scores from shares made beforehand, and smaller numbers behind a gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeaturesConfig
from feedmill.features.served.factored import FIRST, ITEM, POOLED, SCORES, USER, is_factored, predict
from feedmill.features.served.graph import Graph
from feedmill.features.served.item_parts import KEYS
from feedmill.state import State
from feedmill.train.rank.compact import ServingConfig, compact, held_out
from rankers import SMALL, Trained, trained
from worlds import DAY_MS, START_MS, click, tastes

pytestmark = pytest.mark.slow
NOW = START_MS + 30 * DAY_MS
ITEMS = np.array([3, 1, 59, 20, 7, 8, 2], np.int32)
KINDS: dict[str, dict[str, Any]] = {
    "without products": {"kind": "dnn", "embedding_dim": 8, "hidden_dims": [8], "dots": False},
    "gates and attention": {**SMALL, "personal": {"kind": "ppnet"}},
}


@pytest.fixture(scope="module")
def made() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def published(made: Trained) -> Part:
    return compact(made.part, made.state, ServingConfig(), None)


@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_the_same_scores_as_the_whole_graph(kind: str, made: Trained) -> None:
    if kind in KINDS:
        attention = ("clicked",) if "attention" in kind else ()
        made = trained(KINDS[kind], FeaturesConfig(histories={"clicked": [3, 10]}, attention=attention), epochs=1)
    part = compact(made.part, made.state, ServingConfig(), None)
    cut, whole = Graph(part, made.state), Graph(part, made.state, whole=True)
    assert (cut.is_factored, whole.is_factored) == (True, False)
    for name in ("u1", "u40", "nobody"):
        user = made.state.view(name, NOW)
        scores = cut.score(user, ITEMS)
        np.testing.assert_allclose(scores, whole.score(user, ITEMS), atol=1e-5)
        np.testing.assert_allclose(scores[2:3], cut.score(user, ITEMS[2:3]), atol=1e-5)
        assert np.isfinite(scores).all()


def test_items_that_came_or_changed_after_it_was_published(published: Part) -> None:
    state = State()
    state.fold(tastes())
    cut, whole = (Graph(published, state, whole=w) for w in (False, True))
    payload = '{"topics": ["t3"], "author_id": "a1"}'
    described = [click(NOW, "", item, Kind.ITEM, payload=payload) for item in ("brand new", "i5")]
    state.fold(EventBatch.rows([*described, click(NOW, "u3", "only clicked")]))
    items = np.array([state.items.row(i) for i in ("brand new", "only clicked", "i5", "i6")], np.int32)
    user = state.view("u3", NOW + 1)
    np.testing.assert_allclose(cut.score(user, items), whole.score(user, items), atol=1e-5)


def test_no_candidates(made: Trained, published: Part) -> None:
    for whole in (False, True):
        graph = Graph(published, made.state, whole=whole)
        assert graph.score(made.state.view("u1", NOW), ITEMS[:0]).shape == (0, len(graph.heads))


def test_an_older_part_is_served_whole(made: Trained, published: Part) -> None:
    graph = Graph(made.part, made.state)
    assert not graph.is_factored
    assert np.isfinite(graph.score(made.state.view("u1", NOW), ITEMS)).all()
    old = replace(published, blobs={"dense.onnx": published.blobs["dense.onnx"]})
    assert not Graph(old, made.state).is_factored
    assert not is_factored(replace(published, arrays={k: v for k, v in published.arrays.items() if k != FIRST}))


def test_a_part_that_does_not_fit_together_is_refused(made: Trained, published: Part) -> None:
    without = {k: v for k, v in published.arrays.items() if k != POOLED}
    with pytest.raises(ArtifactError, match=POOLED):
        Graph(replace(published, arrays=without), made.state)
    with pytest.raises(ArtifactError, match="rows"):
        Graph(replace(published, arrays={**published.arrays, KEYS: published.arrays[KEYS][1:]}), made.state)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        Graph(replace(published, blobs={**published.blobs, SCORES: b"no graph"}), made.state)
    table = published.arrays["embedding"][1:]
    with pytest.raises(ArtifactError, match="embedding table"):
        Graph(replace(published, arrays={**published.arrays, "embedding": table}), made.state)


def test_a_head_removed_or_added_between_versions(made: Trained, published: Part) -> None:
    """The part says which heads it has; one whose graph has others is refused, when it is asked."""
    for heads in (["click"], ["click", "like", "share"]):
        graph = Graph(replace(published, config={**published.config, "heads": heads}), made.state)
        with pytest.raises(ArtifactError, match="heads"):
            graph.score(made.state.view("u1", NOW), ITEMS)


def test_numbers_that_are_not_known(made: Trained, published: Part) -> None:
    """NaN and infinity in what the state says come out as unknown and never, not as a NaN score."""
    graph = Graph(published, made.state)
    user = made.state.view("u1", NOW)
    for value in (np.nan, np.inf):
        odd = replace(user, counts=np.full_like(user.counts, value))
        assert np.isfinite(graph.score(odd, ITEMS)).all()


def test_requests_one_by_one_are_the_whole_graph(made: Trained) -> None:
    older, newest = held_out(made.batch, made.samples, 0.1)
    assert len(older[1].probe) + len(newest[1].probe) == len(made.samples.probe)
    assert len(older[1]) + len(newest[1]) == len(made.samples)
    assert newest[1].probe.at.min() >= older[1].probe.at.max()
    whole = Graph(made.part, made.state, whole=True)
    assert whole._whole is not None
    np.testing.assert_allclose(predict(made.part, newest[0]), whole._whole(newest[0]), atol=1e-5)


def test_int8_and_float16_are_used_where_the_metrics_allow(made: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    held = held_out(made.batch, made.samples, 0.2)[1]
    open_gate = ServingConfig(quantize="int8", half=True, gate_loss=10, gate_auc=1)
    part = compact(made.part, made.state, open_gate, held)
    decided = part.config["serving"]
    assert decided["int8"]["used"]
    assert decided["float16"]["used"]
    assert part.arrays[FIRST].dtype == np.float16
    assert part.blobs[SCORES] != made.part.blobs[SCORES]
    assert set(decided["int8"]["after"]["log_loss"]) == {"click", "like"}
    assert "int8 is used: click: log loss" in " ".join(capsys.readouterr().err.split())
    user = made.state.view("u1", NOW)
    small, exact = Graph(part, made.state), Graph(made.part, made.state)
    np.testing.assert_allclose(small.score(user, ITEMS), exact.score(user, ITEMS), atol=0.05)


def test_int8_is_not_used_where_it_costs_too_much(made: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose weights are so uneven that int8 loses the small ones."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(made.part.blobs[SCORES])
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight).copy()
        if values.ndim == 2 and len(values) > 20 and values.dtype == np.float32:
            values[0, :] = 3000
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    part = replace(made.part, blobs={**made.part.blobs, SCORES: graph.SerializeToString()})
    held = held_out(made.batch, made.samples, 0.2)[1]
    shut = ServingConfig(quantize="int8", gate_loss=0.0, gate_auc=0.0)
    made_part = compact(part, made.state, shut, held)
    assert not made_part.config["serving"]["int8"]["used"]
    assert made_part.blobs[SCORES] == part.blobs[SCORES]
    assert "int8 is not used" in " ".join(capsys.readouterr().err.split())


def test_a_gate_without_labels_of_both_kinds_stays_shut(made: Trained) -> None:
    batch, samples = held_out(made.batch, made.samples, 0.2)[1]
    one_class = replace(samples, labels=np.zeros_like(samples.labels))
    part = compact(made.part, made.state, ServingConfig(quantize="int8"), (batch, one_class))
    assert not part.config["serving"]["int8"]["used"]


def test_a_part_without_these_graphs_is_left_alone(made: Trained) -> None:
    part = Part("gbdt_lr", {}, {}, {})
    assert compact(part, made.state, ServingConfig(), None) is part
    assert {USER, ITEM, SCORES} <= set(made.part.blobs)
