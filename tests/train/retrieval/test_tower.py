"""Every objective of the retrieval models learns who likes what; what it was made of is in the part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.log.memory import MemoryLog
from feedmill.retrieval import CHANNELS
from feedmill.samples.frequency import Frequency, FrequencyConfig
from feedmill.state import State
from feedmill.train import fit
from feedmill.train.plans import Plans
from worlds import START_MS, catalogue, tastes

N_USERS, N_ITEMS = 40, 60
SMALL: dict[str, Any] = {"epochs": 12, "batch_size": 64, "embedding_dim": 8, "learning_rate": 0.01}
TWO_TOWER: dict[str, Any] = {"kind": "two_tower", "hidden_dims": [16, 8], **SMALL}


def workspace(block: Mapping[str, Any]) -> Workspace:
    raw = {
        "retrieval": {"channels": {"model": {"kind": "vector"}}},
        "train": {"n_threads": 1, "model": dict(block)},
        "rank": {"kind": "none"},
        "features": {"histories": {"clicked": [10]}},
        "evaluate": {"split": "none"},
    }
    return Workspace(Path(), raw)


def learned(block: Mapping[str, Any]) -> tuple[Part, State]:
    log = MemoryLog()
    log.append(tastes(N_USERS, N_ITEMS))
    fitted = fit(workspace(block), log)
    state = State()
    state.fold(fitted.replay.events)
    return fitted.parts["model"], state


def share_of_own_taste(part: Part, state: State) -> float:
    """Even users like even items: the share of even ones among what they are brought, and so for the odd."""
    channel: Any = CHANNELS["vector"]
    served = channel("model", convert({}, channel.Config), part, state)
    hits = []
    for k in range(1, N_USERS + 1):
        request = FeedRequest(request_id="r", user_id=f"u{k}")
        rows = served.fetch(request, state.view(f"u{k}", START_MS), 20).item
        hits += [int(item[1:]) % 2 == k % 2 for item in state.items.ids(rows)]
    return float(np.mean(hits))


OBJECTIVES: dict[str, dict[str, Any]] = {
    "softmax": TWO_TOWER,
    "softmax, sampled": TWO_TOWER | {"negatives": {"sources": {"in_batch": 1, "uniform": 1, "popular": 1}}},
    "pointwise": TWO_TOWER | {"loss": "pointwise", "temperature": 0.5, "epochs": 40},
    "hinge": TWO_TOWER | {"loss": "triplet_hinge"},
    "logistic": TWO_TOWER | {"loss": "triplet_logistic"},
    "streaming": TWO_TOWER | {"frequency": {"n_slots": 4096, "alpha": 0.05, "initial_p": 0.02}},
    "self-supervised": TWO_TOWER | {"self_supervised": {"transform": "related_mask"}},
    "matrix": {"kind": "matrix", **SMALL},
    "matrix, biased": {"kind": "matrix", "item_bias": True, **SMALL, "epochs": 30, "anneal": True},
    "matrix, bpr": {"kind": "matrix", "loss": "triplet_logistic", "negatives": {"sources": {"uniform": 4}}, **SMALL},
    "matrix of histories": {
        "kind": "matrix", "context": "others", "features": {"only": ["user.clicked", "item.id"]}, **SMALL,
    },
    "youtube": {"kind": "youtube", "hidden_dims": [16], **SMALL},
    "youtube, tree": {
        "kind": "youtube", "hidden_dims": [16], "loss": "hierarchical_softmax", "temperature": 1.0, **SMALL,
    },
    "youtube, apart": {"kind": "youtube", "hidden_dims": [16], "features": {"separate_items": True}, **SMALL},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_learns_who_likes_what(name: str) -> None:
    part, state = learned(OBJECTIVES[name])
    assert share_of_own_taste(part, state) > 0.75
    losses = part.config["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_frequencies_are_in_the_checkpoint() -> None:
    part, _ = learned(TWO_TOWER | {"epochs": 1, "frequency": {"n_slots": 512}})
    arrays = {name.partition(".")[2]: a for name, a in part.arrays.items() if name.startswith("frequency.")}
    again = Frequency.restore(FrequencyConfig(n_slots=512), arrays)
    assert (again.p(np.arange(1, N_ITEMS)) > 0).all()


@pytest.mark.slow
def test_items_below_the_top_are_left_to_other_channels() -> None:
    part, state = learned({"kind": "youtube", "hidden_dims": [16], "features": {"top_items": 20}, **SMALL})
    has_vector = (part.arrays["item_vectors"] != 0).any(1)
    assert has_vector.sum() == 20
    channel: Any = CHANNELS["vector"]
    served = channel("model", convert({}, channel.Config), part, state)
    rows = served.fetch(FeedRequest(request_id="r", user_id="u1"), state.view("u1", START_MS), 60).item
    assert has_vector[rows].all()
    assert len(rows) == 20


@pytest.mark.slow
def test_a_bias_says_what_everybody_likes_and_is_served() -> None:
    """Half of the likes go to five items, whoever the user: those have the largest last coordinates."""
    random = rng(1, "popular")
    user = np.repeat(np.arange(1, 201), 10)
    item = np.where(random.random(2000) < 0.5, random.integers(1, 6, 2000), random.integers(6, 61, 2000))
    log = MemoryLog()
    log.append(catalogue(60))
    ids = {"user_id": [f"u{k}" for k in user], "item_id": [f"i{k}" for k in item]}
    log.append(EventBatch.of({"time_ms": START_MS + np.arange(2000), "kind": int(Kind.CLICK), **ids}))
    uniform = {"negatives": {"sources": {"uniform": 4}}, "temperature": 0.3}
    part = fit(workspace({"kind": "matrix", "item_bias": True, **SMALL, **uniform}), log).parts["model"]
    assert part.arrays["item_vectors"].shape[1] == SMALL["embedding_dim"] + 1
    state = State()
    state.fold(log.read(0, 10_000)[0])
    popular = state.items.rows([f"i{k}" for k in range(1, 6)])
    bias = part.arrays["item_vectors"][1:, -1]
    assert set(np.argsort(-bias)[:5] + 1) == set(popular)
    channel: Any = CHANNELS["vector"]
    served = channel("model", convert({}, channel.Config), part, state)
    stranger = served.fetch(FeedRequest(request_id="r", user_id="new"), state.view("new", START_MS), 5)
    assert set(stranger.item) == set(popular), "of a stranger only the bias is known"


def test_a_bias_has_no_place_in_a_cosine() -> None:
    raw = workspace({"kind": "matrix", "item_bias": True}).raw
    raw["retrieval"]["channels"]["model"]["metric"] = "cosine"
    with pytest.raises(ConfigError, match=r"(?s)metric.*inner_product"):
        Plans.of(Workspace(Path(), raw))


def test_early_fusion_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="no item vectors") as refused:
        Plans.of(workspace({"kind": "mmoe"}))
    assert "[rank]" in str(refused.value)


def test_shown_and_not_clicked_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="shown and not clicked"):
        Plans.of(workspace({"kind": "two_tower", "negatives": {"sources": {"shown": 1}}}))


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        Plans.of(workspace({"kind": "two_tower", "temprature": 0.1}))


def test_a_models_defaults_stand_below_what_is_set() -> None:
    plan = Plans.of(workspace({"kind": "youtube", "features": {"searches": 3}})).models["model"]
    assert plan.features.searches == 3
    assert plan.features.example_age
    assert plan.features.leave_out == ("user.id",)
    assert plan.features.histories["clicked"] == [50], "the model's own, not those of [features]"
    assert plan.positives.examples_per_user == 50
