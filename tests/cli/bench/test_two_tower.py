"""The bench's own work on a small log: rivals get the same task, and a missing one is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench.two_tower import HISTORY, MODEL, SOFTMAX, Runs, hand_over, own_ids, prepared, run_ours, run_peer
from feedmill.serve.full_ranking import Task, random_part, task
from feedmill.train.config import TowerPlan
from feedmill.train.retrieval.tower import Ground
from worlds import tastes

pytestmark = pytest.mark.slow
FITTING = {"epochs": 2, "batch_size": 64, "learning_rate": 2e-3, "features": HISTORY}


@pytest.fixture(scope="module")
def world() -> tuple[TowerPlan, Ground, Task]:
    rest, held = random_part(tastes(), 0.2, 0)
    small = task("tastes", rest, held)
    return *prepared({**MODEL, **SOFTMAX, **FITTING}, small), small


def test_ours_is_timed_and_measured(world: tuple[TowerPlan, Ground, Task]) -> None:
    runs = Runs()
    run_ours(runs, *world)
    assert len(runs.wall_s) == len(runs.cpu_s) == 1
    assert runs.quality is not None
    assert 0 <= runs.quality.recall.mean <= 1


def test_the_peer_is_handed_the_same_examples(world: tuple[TowerPlan, Ground, Task], tmp_path: Path) -> None:
    plan, ground, small = world
    hand_over(tmp_path, plan, ground, small)
    told = json.loads((tmp_path / "task.json").read_text("utf-8"))
    arrays = np.load(tmp_path / "task.npz")
    assert len(arrays["user"]) == len(arrays["item"]) == ground.examples.n
    assert len(arrays["users"]) == len(small.user)
    widths = {side: sum(f["width"] for f in told["fields"] if f["side"] == side) for side in ("user", "item")}
    assert (arrays["user"].shape[1], arrays["item"].shape[1]) == (widths["user"], widths["item"])
    for field in told["fields"]:
        ids = arrays[field["side"]][:, field["start"] : field["start"] + field["width"]]
        assert 0 <= ids.min() <= ids.max() <= told["tables"][field["table"]]


def test_ids_count_from_one_in_their_own_table(world: tuple[TowerPlan, Ground, Task]) -> None:
    _, ground, _ = world
    own = own_ids(ground.spec, "item", ground.catalogue.item_ids)
    item = [f.source for f in ground.spec.side("item")].index("item.id")
    at = ground.spec.starts("item")[item]
    assert sorted(set(own[:, at].tolist()) - {0}) == list(range(1, ground.spec.tables["item"] + 1))


def test_a_peer_that_is_not_there_is_named(
    world: tuple[TowerPlan, Ground, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDMILL_PEERS", sys.executable)
    runs = Runs()
    said = run_peer("torch-rechub", runs, *world)
    assert said == "not installed: No module named 'torch_rechub'"
    assert runs.quality is None
