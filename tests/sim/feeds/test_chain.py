"""The chain in process: what it is told, what it answers, and what it learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiences import small_world
from feedmill.core.events import Kind
from feedmill.core.workspace import Workspace
from feedmill.publish import current
from feedmill.serve.engine import Engine
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights, NightsConfig
from feedmill.sim.live import live
from feedmill.sim.settings import template
from feedmill.sim.stages import STAGES, Watch

COUNTED = """
[serve]
clock = "newest"
[retrieval.channels.popular]
[retrieval.channels.itemcf]
[retrieval.channels.fresh]
[prerank]
kind = "none"
[rank]
kind = "none"
[samples]
min_positives = 1
[evaluate]
split = "none"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(Workspace.create(tmp_path / "feed", COUNTED)) as opened:
        yield opened


def test_the_log_tells_a_run_as_the_diary_does(engine: Engine) -> None:
    diary = live(small_world(), ChainFeed(engine, slate=6), 2, slate=6)
    table = engine.live.log.read(0, 10**6)[0].table
    kind, request = table.column("kind").to_numpy(), table.column("request_id").to_pylist()
    assert diary.views is not None
    shown, watched = kind == Kind.IMPRESSION, kind == Kind.WATCH
    lasted = diary.views.seconds >= 3
    assert watched.sum() == lasted.sum()
    assert np.isclose(table.column("value").to_numpy()[watched].sum(), diary.views.seconds[lasted].sum(), rtol=1e-4)
    assert shown.sum() == len(diary.views), "what came on the screen, and no more"
    assert len({r for r, is_shown in zip(request, shown, strict=True) if is_shown}) == diary.people.pages.sum()
    assert {r for r, w in zip(request, watched, strict=True) if w} <= set(request)
    assert engine.clock.now_ms() == table.column("time_ms").to_numpy().max()


def test_two_runs_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        at = Workspace.create(tmp_path / name, COUNTED)
        with Engine.open(at) as engine:
            digests.append(live(small_world(), ChainFeed(engine, Nights(at), seed=7), 3).digest())
    assert digests[0] == digests[1]


def test_nights_publish_what_is_then_served(engine: Engine) -> None:
    said: list[str] = []
    feed = ChainFeed(engine, Nights(engine.workspace, NightsConfig(first=1), said.append))
    versions = []
    feed_night = feed.night

    def night(day: int) -> None:
        feed_night(day)
        versions.append(engine.status()["version"])

    feed.night = night  # type: ignore[method-assign]
    live(small_world(), feed, 3)
    assert versions[0] == ""
    assert versions[1] != versions[2]
    assert versions[2] == current(engine.workspace.artifacts)
    assert said == []


def test_a_workspace_goes_on_where_another_feed_has_stopped(engine: Engine) -> None:
    world = small_world()
    before = ChainFeed(engine)
    live(world, before, 2)
    after = ChainFeed(engine, known=before.known)
    diary = live(world, after, 1)
    assert diary.people.views.sum() > 0
    assert len(after.known.videos) == len(world.videos)


@pytest.mark.slow
def test_the_default_chain_learns_and_its_losses_add_up(tmp_path: Path) -> None:
    at = Workspace.create(tmp_path / "feed", template())
    with Engine.open(at) as engine:
        world = small_world(n_users=30, video_days=0)
        feed = ChainFeed(engine, Nights(at, NightsConfig(then="none")))
        feed.watch = watch = Watch(world, feed, share=0.5, since_day=1)
        live(world, feed, 2)
        problems = engine.status()["problems"]
    regret = watch.regret()
    assert problems == []
    assert len(regret) > 20
    assert regret.reachable.shape == (len(regret), len(STAGES))
    assert np.allclose(regret.lost.sum(axis=1), regret.reachable[:, 0] - regret.reachable[:, -1], atol=0.01)
    assert (regret.lost[:, :3].mean(axis=0) > -0.5).all(), "what is cut off is no gain"
    assert set(regret.alone) == set(regret.without)
    for name, seconds in regret.alone.items():
        assert (seconds.mean() <= regret.reachable[:, 1].mean() + 0.5).all(), name
