"""What the config says of the merge, and what an artifact has learned of it, reaches the chain."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Part
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Workspace
from feedmill.publish import Artifact, load
from feedmill.serve.build import Builder
from feedmill.serve.engine import Engine
from feedmill.serve.pipeline import Chain
from feedmill.state import State
from serve.world import Make, Open, ids

A = CandidateBatch.of("popular", [1, 2, 3], [6, 3, 1])
B = CandidateBatch.of("itemcf", [3, 4], [1, 1])


def chain(engine: Engine, workspace: Workspace, **weights: float) -> tuple[Chain, list[str]]:
    """The chain of the workspace's artifact, with a merge that has learned these weights."""
    kept = load(workspace.artifacts)
    learned = {"merge": Part("merge", {"weights": weights}, {})} if weights else {}
    return Builder(workspace, engine.state).chain(Artifact("v", 0, kept.about, {**kept.parts, **learned}))


def test_ranks_are_merged_where_nothing_else_is_said(opened: Open, make: Make) -> None:
    made, missing = chain(opened(), make())
    assert made.merge([A, B], 9).item.tolist() == [3, 1, 2, 4]
    assert missing == []


def test_weights_of_the_config_and_of_the_artifact(opened: Open, make: Make) -> None:
    engine = opened()
    equal, missing = chain(engine, make(retrieval__merge__kind="weighted"))
    assert equal.merge([A, B], 9).item.tolist() == [1, 3, 4, 2]
    assert missing == []
    learned, missing = chain(engine, make(retrieval__merge={"kind": "weighted", "learn": True}), itemcf=0.1, popular=1)
    assert learned.merge([A, B], 9).item.tolist() == [1, 2, 3, 4]
    assert missing == []
    _, missing = chain(engine, make(retrieval__merge={"kind": "weighted", "learn": True}))
    assert missing == ["retrieval.merge: no weights learned"]


def test_a_feed_without_a_ranker_goes_by_the_weights(opened: Open) -> None:
    merge = {"kind": "weighted", "weights": {"popular": 0.0}}
    engine = opened(retrieval__merge=merge, rerank__rules=[], prerank__kind="none")
    answer = engine.recommend("u1", n=12, expose=False)
    assert answer.degraded == []
    scores = [item.channels.get("itemcf", 0.0) for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    values = [item.value for item in answer.items]
    np.testing.assert_allclose(values[:5], np.array(scores[:5]) / scores[0] * values[0], rtol=1e-3)
    assert len(ids(answer)) == 12


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"retrieval__merge__kind": "weigthed"}, "weigthed"),
        ({"retrieval__merge__weights": {"itemcff": 1.0}}, 'did you mean "itemcf"'),
        ({"retrieval__merge__weights": {"itemcf": -1.0}}, ">= 0"),
        ({"retrieval__merge__kindd": "rank"}, 'did you mean "kind"'),
        ({"retrieval__channels__merge": {"kind": "popular"}}, "the merge's"),
    ],
)
def test_a_merge_that_cannot_be(make: Make, overrides: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Builder(make(**overrides), State())
