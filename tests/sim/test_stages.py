"""Regret by stage, on a chain that counts."""

from __future__ import annotations

import numpy as np
import pytest

from audiences import small_world
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights
from feedmill.sim.live import live
from feedmill.sim.stages import STAGES, Regret, Watch
from sim.feeds.test_chain import COUNTED


@pytest.fixture(scope="module")
def regret(tmp_path_factory: pytest.TempPathFactory) -> Regret:
    at = Workspace.create(
        tmp_path_factory.mktemp("stages") / "feed", COUNTED.replace("[prerank]", "[retrieval]\nlimit = 12\n[prerank]")
    )
    world = small_world(video_days=0)
    with Engine.open(at) as engine:
        feed = ChainFeed(engine, Nights(at), slate=5)
        feed.watch = watch = Watch(world, feed, slate=5, share=0.5, since_day=1)
        live(world, feed, 3, slate=5)
    return watch.regret()


def test_the_losses_of_the_stages_add_up_to_the_regret(regret: Regret) -> None:
    assert len(regret) > 30
    assert regret.reachable.shape == (len(regret), len(STAGES))
    assert regret.lost.shape == (len(regret), len(STAGES) - 1)
    whole = regret.reachable[:, 0] - regret.reachable[:, -1]
    assert np.allclose(regret.lost.sum(axis=1), whole, atol=1e-2)
    assert whole.mean() > 0


def test_what_is_cut_off_is_lost_and_what_does_nothing_loses_nothing(regret: Regret) -> None:
    lost = dict(zip(STAGES[1:], regret.lost.mean(axis=0).tolist(), strict=True))
    assert lost["filters"] > 0, "seen videos are left out, and twelve of the others are kept"
    assert lost["pre-rank"] == pytest.approx(0, abs=1e-5)
    assert lost["re-rank"] == pytest.approx(0, abs=1e-5)
    assert lost["rank"] > 0, "places in channels are no seconds"


def test_channels_are_looked_at_alone_and_left_out(regret: Regret) -> None:
    assert set(regret.alone) == set(regret.without) == {"popular", "itemcf", "fresh"}
    for name in regret.alone:
        assert regret.alone[name].shape == regret.without[name].shape == (len(regret),)
        assert regret.alone[name].mean() <= regret.reachable[:, 1].mean() + 0.1
        assert regret.without[name].mean() <= regret.reachable[:, 1].mean() + 0.1


def test_days_before_the_first_are_not_looked_at(regret: Regret) -> None:
    assert set(regret.day.tolist()) == {1, 2}
