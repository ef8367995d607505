from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Part, UserColumns
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.retrieval import CHANNELS
from feedmill.retrieval.merge import MergeConfig
from feedmill.samples import InterestConfig, interactions, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Replay, State
from feedmill.train.retrieval.merge import learn_merge, learned, questions
from worlds import tastes

CHANNELS_RAW = {"popular": {"limit": 20}, "itemcf": {"limit": 20}}


@pytest.fixture(scope="module")
def events() -> EventBatch:
    return tastes()


def learn(events: EventBatch, merge: Mapping[str, Any]) -> tuple[dict[str, Part], list[int]]:
    """The part, and how many events the channels were built of."""
    workspace = Workspace(Path(), {"retrieval": {"channels": CHANNELS_RAW, "merge": merge}})
    channels = workspace.components("retrieval.channels", CHANNELS, own=["limit"])
    built_of = []

    def refit(some: EventBatch) -> dict[str, Part]:
        built_of.append(len(some))
        state = State()
        state.register(events)
        state.fold(some)
        counted = interactions(some, state, InterestConfig())
        return {c.name: c.cls.build(counted, state, c.config, 0) for c in channels}

    return learn_merge(workspace, channels, Replay(events, State()), events, refit, seed=0), built_of


@pytest.mark.parametrize("merge", [{}, {"kind": "weighted"}, {"kind": "rank", "learn": True}])
def test_nothing_is_learned_unasked(events: EventBatch, merge: dict[str, Any]) -> None:
    assert learn(events, merge) == ({}, [])


def test_the_channel_that_tells_tastes_apart_gets_more(events: EventBatch) -> None:
    """Half the popular items are of the other taste."""
    wanted = {"kind": "weighted", "learn": True, "shrinkage": 5}
    parts, built_of = learn(events, wanted)
    assert built_of == [int(split(events, EvaluateConfig()).train.sum())]
    config = parts["merge"].config
    assert config["weights"]["itemcf"] > 1.1 > 0.9 > config["weights"]["popular"] >= 0
    assert sum(config["weights"].values()) == pytest.approx(2, abs=1e-3)
    assert 10 < config["n_users"] <= 40
    assert learn(events, wanted)[0]["merge"].config == config, "the same seed, the same weights"
    shrunk = learn(events, {**wanted, "shrinkage": 1e7})[0]["merge"].config["weights"]
    assert shrunk == pytest.approx({"popular": 1, "itemcf": 1}, abs=1e-3)


def test_questions_are_a_seeded_draw_of_users(events: EventBatch) -> None:
    held = split(events, EvaluateConfig())
    state = State()
    state.register(events)
    everybody = questions(events, held, state, 1000, 0)
    assert len(everybody) == 40
    some = questions(events, held, state, 7, 0)
    assert len(some) == 7
    assert {q.user_id for q in some} < {q.user_id for q in everybody}
    assert [q.user_id for q in questions(events, held, state, 7, 0)] == [q.user_id for q in some]
    assert [q.user_id for q in questions(events, held, state, 7, 1)] != [q.user_id for q in some]


def test_nobody_to_learn_from_is_equal_weights(events: EventBatch) -> None:
    class Silent:
        name = "silent"

        def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
            return CandidateBatch.of(self.name, [], [])

    class Noise(Silent):
        name = "noise"

        def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
            items = 1 + rng(int(user.row[0]), "noise").permutation(60)[:limit]
            return CandidateBatch.of(self.name, items.astype(np.int32), np.linspace(1, 0, len(items)))

    state = State()
    state.fold(events)
    config = MergeConfig(kind="weighted", learn=True)
    assert learned([(Silent(), 9), (Noise(), 9)], state, [], config) == ({"silent": 1, "noise": 1}, 0)
    asked = questions(events, split(events, EvaluateConfig()), state, 10, 0)
    weights, n_users = learned([(Silent(), 9), (Noise(), 9)], state, asked, config)
    assert weights == {"silent": 1, "noise": 1}
    assert n_users == 0, "what a user has seen cannot be chosen anew"
