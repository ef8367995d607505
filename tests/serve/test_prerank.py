"""Which pre-ranker the config and the artifact make up together."""

from __future__ import annotations

import pytest

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.publish import Artifact, load
from feedmill.serve.build import Builder
from feedmill.state import State
from serve.world import Make, Open


def test_a_pre_ranker_that_is_not_trained_yet_is_missing_and_the_feed_goes_on(opened: Open) -> None:
    engine = opened(prerank__kind="mlp")
    answer = engine.recommend("u1", n=5, expose=False)
    assert len(answer.items) == 5


def test_what_is_missing_is_said(opened: Open, make: Make) -> None:
    engine = opened()
    workspace = make(prerank__kind="mlp", prerank__mlp={"distill": 0.5})
    chain, missing = Builder(workspace, engine.state).chain(load(workspace.artifacts))
    assert missing == ["prerank: not trained"]
    assert chain.prerank is None


def test_a_part_of_another_kind_of_model_is_refused(opened: Open, make: Make) -> None:
    engine, workspace = opened(), make(prerank__kind="mlp")
    kept = load(workspace.artifacts)
    broken = Artifact("v", 0, kept.about, {**kept.parts, "prerank": Part("mlp", {}, {})})
    with pytest.raises(ArtifactError):
        Builder(workspace, engine.state).chain(broken)


def test_no_channel_has_its_name(make: Make) -> None:
    with pytest.raises(ConfigError, match="pre-ranker"):
        Builder(make(retrieval__channels__prerank={"kind": "popular"}), State())
