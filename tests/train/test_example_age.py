"""The age of an example lets a model tell what is popular now from what was (Covington et al. 2016, figure 4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.features.served.graph import Graph
from feedmill.log.memory import MemoryLog
from feedmill.state import State
from feedmill.train import fit
from worlds import DAY_MS, START_MS, click

N_DAYS, N_USERS, N_OF_EACH, TEMPERATURE = 60, 250, 10, 0.2


def fading() -> EventBatch:
    """Ten old items fall from nine clicks in ten to one in ten in the course of the log; ten new ones take over."""
    random = rng(3, "fading")
    rows = []
    for user in range(N_USERS):
        chosen: set[str] = set()
        for day in sorted(random.uniform(0, N_DAYS, 6).tolist()):
            is_old = random.random() < 0.9 - 0.8 * day / N_DAYS
            item = f"{'old' if is_old else 'new'}{random.integers(N_OF_EACH)}"
            if item not in chosen:
                rows.append(click(int(START_MS + day * DAY_MS), f"u{user}", item))
                chosen.add(item)
    return EventBatch.rows(sorted(rows, key=lambda row: row["time_ms"]))


def share_of_old(example_age: bool) -> float:
    """The probability that somebody unknown, who comes after the end of the log, chooses an old item."""
    events = fading()
    raw = {
        "retrieval": {"channels": {"youtube": {"kind": "vector"}}},
        "train": {
            "n_threads": 1,
            "youtube": {
                "epochs": 40, "batch_size": 128, "embedding_dim": 8, "hidden_dims": [16], "learning_rate": 0.01,
                "temperature": TEMPERATURE, "features": {"example_age": example_age},
            },
        },
        "rank": {"kind": "none"},
        "evaluate": {"split": "none"},
    }  # fmt: skip
    log = MemoryLog()
    log.append(events)
    part = fit(Workspace(Path(), raw), log).parts["youtube"]
    state = State()
    state.fold(events)
    later = START_MS + (N_DAYS + 1) * DAY_MS
    scores = part.arrays["item_vectors"] @ Graph(part, state).users(state.view("?", later))[0] / TEMPERATURE
    share = np.exp(scores[1:]) / np.exp(scores[1:]).sum()
    return float(share[[item.startswith("old") for item in state.items.ids()[1:]]].sum())


@pytest.mark.slow
def test_with_the_age_of_examples_the_model_follows_the_drop() -> None:
    """It has fallen to one in ten; a model that does not know the time has it at one in two or more."""
    assert share_of_old(example_age=True) == pytest.approx(0.1, abs=0.1)
    assert share_of_old(example_age=False) > 0.4
