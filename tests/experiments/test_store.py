"""The checkpoint is a shortcut: with it or without it, the plan is what the log says."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.life import Life, config, noise
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch
from feedmill.experiments import Action, Plan, store
from feedmill.log.memory import MemoryLog


class Counting(MemoryLog):
    """A log that counts the events it was asked for."""

    n_read = 0

    def read(self, offset: int, limit: int = 65_536) -> tuple[EventBatch, int]:
        found = super().read(offset, limit)
        self.n_read += len(found[0])
        return found


@pytest.fixture
def life() -> Life:
    """Some steps taken, one refused, and much that has nothing to do with it."""
    life = Life(holdout=0.1)
    life.log = Counting()
    for _ in range(100):
        life.append(noise())
    life.run("mmr")
    life.write(Action(action="start", name="mmr"))
    life.append(noise())
    return life


def test_a_start_reads_the_tail_alone(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "experiments.json"
    store.save(life.plan, path, life.log.end)
    life.do("stop", "mmr")
    assert isinstance(life.log, Counting)
    life.log.n_read = 0
    assert store.restore(path, life.log, life.config) == life.plan
    assert life.log.n_read < 10
    assert [p.name for p in tmp_path.iterdir()] == ["experiments.json"]


def test_without_a_checkpoint_the_log_has_everything(life: Life, tmp_path: Path) -> None:
    assert store.restore(tmp_path / "none.json", life.log, life.config) == life.plan
    assert store.restore(tmp_path / "none.json", MemoryLog(), life.config) == Plan.empty(life.config)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"offset": -1, "events": []}', '{"offset": 1, "events": [[5, 0, "x"]]}']
)
def test_a_checkpoint_that_cannot_be_read_does_no_harm(life: Life, tmp_path: Path, text: str) -> None:
    path = tmp_path / "experiments.json"
    path.write_text(text)
    assert store.restore(path, life.log, life.config) == life.plan


def test_a_checkpoint_of_a_longer_log_or_of_another_one_is_left_aside(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "experiments.json"
    store.save(life.plan, path, life.log.end)
    fresh = Life(holdout=0.1)
    assert store.restore(path, fresh.log, fresh.config) == fresh.plan
    for _ in range(200):
        fresh.append(noise())
    assert store.restore(path, fresh.log, fresh.config) == fresh.plan


def test_saving_says_at_least_what_the_plan_has(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "experiments.json"
    store.save(life.plan, path)
    assert store.restore(path, life.log, life.config) == life.plan


def test_a_config_that_does_not_go_with_what_runs_is_refused_at_the_start(life: Life, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="deleting a layer in use"):
        store.restore(tmp_path / "none.json", life.log, config(layers={"rank": {}}))
