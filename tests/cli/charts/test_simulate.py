"""Pictures of a simulation: what they say, and which there are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.simulated import policy, simulation
from feedmill.cli.charts import simulate, simulate_change
from feedmill.cli.charts.page import Lines

pytest.importorskip("matplotlib")
TABLE = Lines(("policy",), (("chance",),))


def test_the_page_has_a_picture_for_each_question(tmp_path: Path) -> None:
    assert simulate.page(simulation(), "made up", TABLE, tmp_path) == 7
    files = {f.name for f in tmp_path.iterdir()}
    names = ("watch-time", "experiment", "stages", "variants", "audience", "shown", "new-videos")
    assert files == {"index.html", *(f"{name}.png" for name in names)}
    text = (tmp_path / "index.html").read_text("utf-8")
    assert "Most is lost by rank: 10.0%" in text
    assert "Most is lost by chain, no two_tower: -12.0%" in text
    assert "chance 42.0% ±1.2, popular 58.0%" in text


def test_a_day_of_one_feed_has_the_pictures_it_can(tmp_path: Path) -> None:
    alone = policy("chance", 0.4, 1)
    bare = msgspec.structs.replace(alone.new_videos, videos=0)
    alone = msgspec.structs.replace(alone, new_videos=bare)
    x = msgspec.structs.replace(simulation(1), policies=[alone], stages={}, channels={}, experiment=None)
    assert simulate.page(x, "made up", TABLE, tmp_path) == 3


def test_nothing_is_a_page_too(tmp_path: Path) -> None:
    x = msgspec.structs.replace(simulation(), policies=[], stages={}, channels={}, experiment=None)
    assert simulate.page(x, "made up", TABLE, tmp_path) == 0


def test_colours_are_of_the_policy_and_differ() -> None:
    names = ["chance", "chain", "fast", "fast:a=1", "fast:a=2", "http://somewhere"]
    colours = simulate.colours_of(names)
    assert len(set(colours.values())) == len(names)
    assert simulate.colours_of(["chain"])["chain"] == colours["chain"]


def test_of_many_policies_variants_have_their_own_picture() -> None:
    policies = simulation().policies
    assert len(policies) == 8
    assert [p.name for p in simulate.drawn(policies)] == ["chance", "popular", "itemcf", "chain", "oracle"]
    assert simulate.drawn(policies[:7]) == policies[:7]
    assert [simulate_change.is_variant(p) for p in policies] == [False] * 5 + [True] * 3
