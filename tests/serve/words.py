"""A text model without torch: every id has a random vector, a text is their mean."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from feedmill.core.batches import Part
from feedmill.core.clock import rng
from feedmill.core.workspace import Workspace
from feedmill.features.served.text_graph import TextGraph
from feedmill.features.text import TextConfig, fit_slots, item_texts, tokenise
from feedmill.log.sqlite import SqliteLog
from feedmill.publish import promote, write
from feedmill.retrieval.popular import PopularChannel, PopularConfig
from feedmill.samples.interactions import InterestConfig, interactions
from feedmill.state import State
from serve.world import about

DIM = 32
TEXT = {"kind": "text", "limit": 20}


def first_position() -> bytes:
    """x float32[R, T, D] -> float32[R, D], as a graph."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["out"], keepdims=0)],
        "words",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["R", "T", DIM])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["R", DIM])],
        [axes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    blob: bytes = model.SerializeToString()
    return blob


def text_part(state: State) -> Part:
    """Knows the words of the titles, and nothing else."""
    config = TextConfig(topics=False, min_count=1, n_buckets=4096)
    titles = item_texts(state, config)
    slots = fit_slots(config, tokenise(titles, config))
    table = rng(0, "words").standard_normal((int(slots.max()) + 1, DIM)).astype(np.float32)
    table[0] = 0
    arrays = {"embedding": table, "buckets": np.flatnonzero(slots).astype(np.int32)}
    about = {"text": {"topics": False, "min_count": 1, "n_buckets": 4096}, "ngrams": 1, "is_bag": True, "least": 1}
    part = Part("text", about, arrays, {"dense.onnx": first_position()})
    return Part("text", about, {**arrays, "item_vectors": TextGraph(part).encode(titles)}, part.blobs)


def train_words(workspace: Workspace) -> None:
    """Publish and promote an artifact of a popular channel and a text channel."""
    log = SqliteLog(workspace.log)
    events, _ = log.read(0, 1_000_000)
    log.close()
    state = State()
    state.fold(events)
    counted = interactions(events, state, InterestConfig())
    parts = {"popular": PopularChannel.build(counted, state, PopularConfig(), 0), "text": text_part(state)}
    promote(workspace.artifacts, write(workspace.artifacts, parts, about(state)))
