"""Audiences that live with feeds, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from audiences import SMALL
from feedmill.cli.simulation import run
from feedmill.cli.simulation.policies import parse
from feedmill.cli.simulation.run import Plan, Runs, base, settled, slug
from feedmill.cli.simulation.summary import Simulation
from feedmill.sim.config import WorldConfig
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed


def plan(folder: Path, *names: str, n_days: int = 2, treatment: dict[str, Any] | None = None, **world: Any) -> Plan:
    config = WorldConfig(**{**SMALL, "views_per_day": 10.0, **world})
    return Plan(config, [parse(name) for name in names], treatment or {}, n_days, 5, 0, folder)


def lived(x: Plan) -> Simulation:
    runs = Runs(x)
    names = [p.name for p in runs]
    assert names[0] == "oracle"
    return runs.so_far()


def timeless(x: Simulation) -> Simulation:
    return msgspec.structs.replace(x, policies=[msgspec.structs.replace(p, run_s=0.0) for p in x.policies])


def test_same_seed_same_figures_and_the_oracle_is_above_chance(tmp_path: Path) -> None:
    first, second = (timeless(lived(plan(tmp_path, "chance", "popular"))) for _ in range(2))
    assert first == second
    assert [p.name for p in first.policies] == ["chance", "popular", "oracle"]
    chance, popular, oracle = first.policies
    assert chance.share.value is not None
    assert chance.share.value < 0.9
    assert oracle.share.value == pytest.approx(1)
    assert oracle.now.value == pytest.approx(1, abs=1e-3)
    assert (popular.beside, chance.beside) == ("chance", "")
    assert popular.more.value is not None
    rows = pl.read_parquet(tmp_path / "popular.parquet")
    assert rows["views"].sum() == sum(d.views for d in popular.days)


@pytest.mark.parametrize("world", [{"n_users": 1}, {"n_videos": 1, "video_days": 0.0}, {"n_topics": 0}])
def test_the_smallest_worlds_are_told(tmp_path: Path, world: dict[str, Any]) -> None:
    found = lived(plan(tmp_path, "chance", "fast", n_days=1, **world))
    assert [len(p.days) for p in found.policies] == [1, 1, 1]


def test_an_experiment_stands_beside_each_arm_alone(tmp_path: Path) -> None:
    runs = Runs(plan(tmp_path, "popular", treatment={"memory": 1}))
    assert [p.name for p in runs] == ["oracle", "popular", "popular treated"]
    x = runs.so_far().experiment
    assert x is not None
    assert x.treatment == {"memory": 1}
    assert sum(x.people.values()) > 30
    assert x.truth is not None
    assert x.truth < 0  # what one has just seen is soon popular again


def test_ctrl_c_keeps_the_days_that_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(ChanceFeed):
        def night(self, day: int) -> None:
            if day == 1:
                raise KeyboardInterrupt  # in the night, when day 1 is over

    real = run.opened

    @contextmanager
    def opened(policy: Any, *args: Any) -> Iterator[Any]:
        if policy.kind == "chance":
            yield Stopped(ChanceConfig(slots=5), 0)
        else:
            with real(policy, *args) as feed:
                yield feed

    monkeypatch.setattr(run, "opened", opened)
    runs = Runs(plan(tmp_path, "chance", "popular", n_days=3))
    assert [p.name for p in runs] == ["oracle", "chance"]
    assert runs.stopped
    assert [len(p.days) for p in runs.so_far().policies] == [2, 3]


def test_what_is_compared_with_what() -> None:
    chance, fast, other, itemcf = (parse(name) for name in ("chance", "fast", "fast:author_window=0", "itemcf"))
    assert base([], chance) is None
    assert base([chance, fast, itemcf], other) is fast
    assert base([chance, fast, other], itemcf) is other
    assert [settled(n) for n in (1, 2, 7)] == [0, 1, 3]
    assert slug("fast:explore_slots=1, no Re-rank") == "fast-explore-slots-1-no-re-rank"
