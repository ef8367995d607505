"""Heads of several kinds, fitted and served; and a version that has other heads than the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Part
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Workspace
from feedmill.features import assemble
from feedmill.features import fit as fit_features
from feedmill.features.served.graph import Graph
from feedmill.features.spec import FeaturesConfig
from feedmill.rerank.fusion import FusionConfig, check, fuse
from feedmill.samples import SamplesConfig, sample
from feedmill.samples.rows import ALL_HEADS
from feedmill.state import State
from feedmill.train.plans import Plans
from feedmill.train.rank.ranker import fit_ranker
from worlds import START_MS, tastes

pytestmark = pytest.mark.slow

RANK = {"kind": "mmoe", "embedding_dim": 4, "hidden_dims": [8, 4], "epochs": 4, "batch_size": 64}


@pytest.fixture(scope="module")
def state() -> State:
    state = State()
    state.fold(tastes())
    return state


def fitted(state: State, heads: tuple[str, ...], **rank: Any) -> Part:
    """A ranker of clicks and likes; a like counts as 20 seconds watched where the second head is "watch_s"."""
    events, once_more = tastes(), State()
    samples, _ = sample(events, state, SamplesConfig(n_negatives=3), 0)
    once_more.register(events)
    probed = once_more.fold(events, samples.probe)
    assert probed is not None
    spec, arrays = fit_features.fit(FeaturesConfig(histories={"clicked": [5]}), state, probed)
    batch = assemble(spec, arrays, state, probed)
    scale = np.array([1, 20 if heads[1] == "watch_s" else 1], np.float32)
    samples = replace(samples, labels=samples.labels * scale, heads=heads)
    plans = Plans.of(Workspace(Path(), {"retrieval": {"channels": {}}, "rank": {**RANK, **rank}}))
    assert plans.rank is not None
    return fit_ranker(plans.rank.chosen, plans.rank.fitting, spec, arrays, batch, samples, 0)


@pytest.fixture(scope="module")
def seconds(state: State) -> Part:
    return fitted(state, ("click", "watch_s"), watch_time={"kind": "weighted_logistic", "weight": 0.2})


@pytest.fixture(scope="module")
def likes(state: State) -> Part:
    return fitted(state, ("click", "like"))


def test_seconds_and_probabilities_are_told_apart(seconds: Part, state: State) -> None:
    part = seconds
    assert part.config["heads"] == ["click", "watch_s"]
    assert part.config["head_kinds"] == ["probability", "seconds"]
    scores = Graph(part, state).score(state.view("u1", START_MS), np.arange(1, 40, dtype=np.int32))
    assert ((scores[:, 0] > 0) & (scores[:, 0] < 1)).all()
    assert (scores[:, 1] > 0).all()
    assert 0.5 < scores[:, 1].mean() < 20
    assert set(part.blobs) == {"dense.onnx", "user_first.onnx", "item_first.onnx", "scores.onnx"}


def test_a_head_that_comes_or_goes_is_no_error(seconds: Part, likes: Part, state: State) -> None:
    """The next version has likes instead of seconds; the config still weighs both."""
    config = FusionConfig(weights={"click": 1.0, "watch_s": 0.1, "like": 2.0})
    check(config, ALL_HEADS)
    items = np.array([1, 2, 3], np.int32)
    for part, weight in ((seconds, 0.1), (likes, 2.0)):
        graph = Graph(part, state)
        assert graph.heads == tuple(part.config["heads"])
        scores = graph.score(state.view("u1", START_MS), items)
        ranked = CandidateBatch.of("popular", items, [3.0, 2.0, 1.0]).with_scores(graph.heads, scores)
        np.testing.assert_allclose(fuse(ranked, config), scores[:, 0] + weight * scores[:, 1], rtol=1e-5)


def test_a_head_that_presupposes_another_is_never_likelier(likes: Part, state: State) -> None:
    """In the log every like comes with a click, which a plain head does not know; whole and cut graphs agree."""
    part = fitted(state, ("click", "like"), given={"like": "click", "share": "click"})
    user, items = state.view("u1", START_MS), np.arange(1, 60, dtype=np.int32)
    scores = Graph(part, state).score(user, items)
    np.testing.assert_allclose(Graph(part, state, whole=True).score(user, items), scores, atol=1e-5)
    assert (scores[:, 1] < scores[:, 0]).all()
    plain = Graph(likes, state).score(user, items)
    assert abs(scores[:, 1].mean() - plain[:, 1].mean()) < 0.1


@pytest.mark.parametrize("given", [{"like": "klick"}, {"watch_s": "click"}])
def test_a_head_can_presuppose_only_a_chance(given: dict[str, str], state: State) -> None:
    with pytest.raises(ConfigError, match=r"rank\.given"):
        fitted(state, ("click", "like"), given=given)
