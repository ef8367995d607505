"""The chain without each of its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiences import small_world
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.sim.ablation import WHOLE, frozen, learning, variants
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights
from feedmill.sim.live import live
from feedmill.sim.settings import make
from sim.feeds.test_chain import COUNTED


def test_every_part_of_a_config_is_taken_away_once(tmp_path: Path) -> None:
    raw = make(tmp_path / "feed").raw
    found, channels = variants(raw), set(raw["retrieval"]["channels"])
    assert found[WHOLE] == {}
    assert set(found["no popular"]["retrieval.channels"]) == channels - {"popular"}
    assert set(found["no fresh (exploration)"]["retrieval.channels"]) == channels - {"fresh"}
    assert set(found["no two_tower"]["retrieval.channels"]) == channels - {"two_tower"}
    assert found["no two_tower"]["prerank"]["kind"] == "none"
    assert found["no rank"] == {"rank.kind": "none"}
    assert found["no re-rank"] == {"rerank.rules": []}
    assert "no calibration" not in found
    for overrides in found.values():
        with Engine.open(Workspace.open(tmp_path / "feed", overrides)) as engine:
            assert engine.status()["problems"] == ["no model"] or engine.status()["problems"] == []


def test_nothing_is_taken_from_a_config_without_parts() -> None:
    assert set(variants({"rank": {"kind": "none"}, "prerank": {"kind": "none"}})) == {WHOLE}


def test_variants_go_on_from_one_moment_and_leave_it_as_it_was(tmp_path: Path) -> None:
    at, world = Workspace.create(tmp_path / "feed", COUNTED), small_world()
    with Engine.open(at) as engine:
        feed = ChainFeed(engine, Nights(at))
        live(world, feed, 2)
    before, day = (at.path / "log.sqlite").read_bytes(), world.day
    chosen = {WHOLE: {}, "again": {}, "no itemcf": variants(at.raw)["no itemcf"]}
    diaries = frozen(at, world, feed.known, chosen, 1, tmp_path)
    assert diaries[WHOLE].digest() == diaries["again"].digest() != diaries["no itemcf"].digest()
    assert (at.path / "log.sqlite").read_bytes() == before
    assert world.day == day
    assert [p.name for p in tmp_path.iterdir()] == ["feed"]


@pytest.mark.slow
def test_variants_may_learn_on_their_own(tmp_path: Path) -> None:
    chosen = {WHOLE: {}, "seen again": {"filters.seen": False}}
    diaries = learning(COUNTED, small_world(), chosen, 2, tmp_path)
    assert diaries[WHOLE].digest() != diaries["seen again"].digest()
    assert list(tmp_path.iterdir()) == []
