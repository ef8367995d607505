"""Names on the command line, and what is wrong with them in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.cli.simulation.policies import ablated, check, opened, pairs, parse
from feedmill.core.errors import DataError, FeedmillError
from feedmill.sim.config import WorldConfig
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.fast.feed import FastFeed
from feedmill.sim.world import World

SMALL = WorldConfig(n_users=3, n_videos=8)


def test_a_name_with_settings() -> None:
    found = parse("fast:explore_slots=2,learner.n_factors=4")
    assert (found.kind, found.label) == ("fast", "fast:explore_slots=2,learner.n_factors=4")
    assert found.settings == {"explore_slots": 2, "learner.n_factors": 4}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("a=1,b.c=true", {"a": 1, "b.c": True}),
        ("a=[1, 2],b={x = 1, y = 2}", {"a": [1, 2], "b": {"x": 1, "y": 2}}),
        ("a = 1 , b=plain", {"a": 1, "b": "plain"}),
    ],
)
def test_pairs_are_toml_and_brackets_hold_commas(text: str, values: dict[str, object]) -> None:
    assert pairs(text, text) == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chian", 'did you mean "chain"'),
        ("fast:explor_slots=1", 'did you mean "explore_slots"'),
        ("fast:explore_slots=-1", "fast.explore_slots = -1"),
        ("popular:half_life_days", "path=value"),
        ("oracle:a=1", "nothing to set"),
        ("chain:rank.epoch=3", 'did you mean "epochs"'),
        ("http://127.0.0.1:1", "feedmill serve"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(FeedmillError, match=words):
        parse(text)


def test_a_service_that_is_not_there_is_no_config_error() -> None:
    with pytest.raises(DataError, match="does not answer"):
        parse("http://127.0.0.1:1")


def test_the_slate_reaches_every_feed(tmp_path: Path) -> None:
    world = World.make(SMALL, 0)
    for name in ("chance", "popular", "itemcf", "fast"):
        with opened(parse(name), world, tmp_path, 4, 0) as feed:
            config = getattr(feed, "config")  # noqa: B009
            assert getattr(config, "slots", None) or config.popular.slots == 4
    with opened(parse("fast:author_window=0,learner.n_factors=3"), world, tmp_path, 4, 0) as feed:
        assert isinstance(feed, FastFeed)
        assert (feed.config.author_window, feed.config.slots, feed.learner.config.n_factors) == (0, 4, 3)


@pytest.mark.slow
def test_a_chain_begins_anew_in_its_folder(tmp_path: Path) -> None:
    world = World.make(SMALL, 0)
    for _ in range(2):
        with opened(parse("chain:rerank.rules=[]"), world, tmp_path / "chain", 4, 0) as feed:
            assert isinstance(feed, ChainFeed)
            assert feed.engine.state.offset == 0
            feed.describe(world.describe())
            assert feed.engine.state.offset > 0
        world = World.make(SMALL, 0)


def test_an_ablation_leaves_out_one_part_each() -> None:
    chain = parse("chain:rank.epochs=2")
    without = ablated(chain)
    assert len({p.label for p in without}) == len(without) >= 5
    assert all(p.settings["rank.epochs"] == 2 and len(p.settings) > 1 for p in without)
    assert any("itemcf" in p.label for p in without)
    for policy in without:
        check(policy)
