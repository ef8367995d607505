"""Target attention: known answers, and the same numbers in training and in serving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.workspace import component
from feedmill.features import FeatureBatch, FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.attention import Attention, attend, item_numbers
from feedmill.features.served.factored import with_items
from feedmill.features.served.graph import Graph
from feedmill.features.spec import Field
from feedmill.models import RANKERS
from feedmill.models.embeddings import FusedEmbedding
from feedmill.samples import SamplesConfig, sample
from feedmill.state import State
from feedmill.train.config import FITTING_KEYS, Fitting
from feedmill.train.loop import Features
from feedmill.train.rank.ranker import fit_ranker
from worlds import tastes

FIELDS = (Field("user", "user", "user.id", "user"), Field("clicked_3", "user", "user.clicked", "item", 3),
          Field("item", "item", "item.id", "item"), Field("author", "item", "item.author", "author"))  # fmt: skip
SPEC = FeatureSpec(FIELDS, (), {"user": 2, "item": 6, "author": 1}, 2, 1.0, "", attention=("clicked_3",))


def test_by_hand() -> None:
    """A candidate like the first of two clicked items; logits q·k / sqrt(2) are 2 and 0."""
    table = np.zeros((10, 2), np.float32)
    table[3], table[4] = (2 * np.sqrt(2), 0), (0, 1)
    table[5] = (1, 0)
    table[6] = (0, 0)
    users, items = np.array([[1, 3, 0, 4], [2, 0, 0, 0]], np.int32), np.array([[5, 9], [6, 9], [5, 9]], np.int32)
    out = attend(SPEC, table, users, items[:, 0], np.array([0, 0, 1]))
    w = np.exp(2) / (np.exp(2) + 1)
    np.testing.assert_allclose(out[0], [w * 2 * np.sqrt(2), 1 - w, w * 2 * np.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(out[1], [np.sqrt(2), 0.5, 0], rtol=1e-6, err_msg="without a vector: the plain mean")
    np.testing.assert_array_equal(out[2], [0, 0, 0], err_msg="without a history: nothing")


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 9))
def test_training_and_serving_give_the_same_numbers(seed: int, n_users: int, n_items: int) -> None:
    g = np.random.default_rng(seed)
    embedding = FusedEmbedding(SPEC.n_rows, 8)
    with torch.no_grad():
        embedding.table.weight[1:] = torch.from_numpy(g.normal(size=(SPEC.n_rows - 1, 8)).astype(np.float32))
    users = np.hstack([g.integers(0, 3, (n_users, 1)), g.choice([0, 3, 4, 5, 6, 7, 8], (n_users, 3))]).astype(np.int32)
    items = np.hstack([g.choice([0, 3, 4, 5, 6, 7, 8], (n_items, 1)), g.choice([0, 9], (n_items, 1))]).astype(np.int32)
    of = np.sort(g.integers(0, n_users, n_items))
    numeric = g.random((n_items, 2)).astype(np.float32)
    batch = FeatureBatch(users, np.zeros((n_users, 0), np.float32), items, numeric, of)
    features, requests = Features(SPEC, batch, embedding.eval()), np.arange(n_users)
    trained = features.inputs(requests, *features.rows(requests)).item_numeric.detach().numpy()
    served = item_numbers(SPEC, embedding.table.weight.detach().numpy(), batch)
    assert served.shape == trained.shape == (n_items, 2 + 9)
    np.testing.assert_allclose(served, trained, rtol=1e-5, atol=1e-6)
    slots = np.array([0, *range(1, 7)], np.int32)  # of the state's item rows 1 to 6; the seventh is newer
    live = Attention(SPEC, {"slots.item": slots}, embedding.table.weight.detach().numpy())
    rows = np.where(items[:, 0] > 0, items[:, 0] - 2, 7).astype(np.int32)
    for r in range(n_users):
        mine = of == r
        np.testing.assert_array_equal(live.beside(numeric[mine], users[r : r + 1], rows[mine]), served[mine])


def test_the_table_learns_from_it() -> None:
    """Gradients reach the history's items and the candidate, and nothing else."""
    embedding = FusedEmbedding(SPEC.n_rows, 4)
    batch = FeatureBatch(np.array([[1, 3, 4, 0]], np.int32), np.zeros((1, 0), np.float32),
                         np.array([[5, 0]], np.int32), np.zeros((1, 0), np.float32), np.array([0]))  # fmt: skip
    features = Features(SPEC, batch, embedding)
    x = features.inputs(np.array([0]), np.array([0]), np.array([0]))
    x.item_numeric.square().sum().backward()  # type: ignore[no-untyped-call]
    gradient = embedding.table.weight.grad
    assert gradient is not None
    moved = np.flatnonzero(np.abs(gradient.to_dense().numpy()).sum(axis=1) > 0)
    assert moved.tolist() == [3, 4, 5]


def test_who_does_not_ask_for_it_pays_nothing() -> None:
    events, state = tastes(), State()
    state.register(events)
    probed = state.fold(events, sample(events, state, SamplesConfig(n_negatives=1), seed=0)[0].probe)
    assert probed is not None
    spec, arrays = fit_features.fit(FeaturesConfig(), state, probed)
    batch = assemble(spec, arrays, state, probed)
    assert item_numbers(spec, np.zeros((1, 4), np.float32), batch) is batch.item_numeric


@pytest.mark.slow
def test_a_ranker_with_attention_is_served_as_it_was_trained() -> None:
    """End to end on a small log: the graph cut in three, the whole graph and the module give the same scores."""
    events, state = tastes(), State()
    state.register(events)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=2, min_positives=10), seed=0)
    probed = state.fold(events, samples.probe)
    assert probed is not None
    spec, arrays = fit_features.fit(FeaturesConfig(attention=("clicked",)), state, probed)
    assert spec.attention == ("clicked_50",)
    chosen = component({"kind": "mmoe", "embedding_dim": 8}, RANKERS, "rank", "mmoe", FITTING_KEYS)
    batch = assemble(spec, arrays, state, probed)
    part = with_items(fit_ranker(chosen, Fitting(epochs=1), spec, arrays, batch, samples, 0), state)
    user, items = state.view("u1", state.newest_ms), np.arange(1, 50, dtype=np.int32)
    cut, whole = Graph(part, state), Graph(part, state, whole=True)
    assert cut.is_factored
    scores = cut.score(user, items)
    np.testing.assert_allclose(scores, whole.score(user, items), atol=1e-5)
    stranger = state.view("nobody", state.newest_ms)
    assert np.isfinite(cut.score(stranger, items)).all()
    table = np.array(part.arrays["embedding"])
    table[:] = 0
    blind = Graph(replace(part, arrays={**part.arrays, "embedding": table}), state, whole=True).score(user, items)
    assert np.abs(blind - scores).max() > 1e-4
