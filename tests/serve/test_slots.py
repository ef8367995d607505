"""Advertisements from an event to a slot of the feed: a marked channel, its reserve, and a rule of slots."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.publish import load
from feedmill.serve.build import Builder
from feedmill.serve.engine import Engine
from feedmill.state import State
from feedmill.train.plans import Plans
from serve.world import N_ITEMS, START_MS, Make, Open, click, ids

ADS = {
    "retrieval__channels__ads": {"kind": "marked", "order": "bid", "reserve": 5, "limit": 20},
    "rerank__rules": [
        {"kind": "mmr", "theta": 0.8},
        {"kind": "slots", "first": 3, "gap": 4, "load": 0.3, "order": "bid"},
    ],
}


def describe(engine: Engine, item: str, **about: Any) -> None:
    rows = {"kind": [int(Kind.ITEM)], "item_id": item, "time_ms": START_MS + 10**6, "payload": json.dumps(about)}
    engine.append(EventBatch.of(rows))


def test_advertisements_come_and_go_by_events_without_a_training(opened: Open) -> None:
    engine = opened(**ADS)
    before = engine.recommend("u1", n=8, expose=False)
    assert before.degraded == []
    for n in range(4):
        describe(engine, f"ad{n}", title=f"Advertisement {n}", slot="ad", bid=n)
    answer = engine.recommend("u1", n=8, request_id="r1", expose=False)
    assert [ids(answer)[3], ids(answer)[7]] == ["ad3", "ad2"]
    assert "ad slot 4, moved it up from" in answer.items[3].why
    assert sum(item.startswith("ad") for item in ids(answer)) == 2, "what is not placed does not come"
    (stage,) = [s for s in engine.trace("r1").stages if s.stage == "rerank.slots"]
    organic = [x.value for x in before.items]
    assert stage.cost > 0
    assert stage.cost <= 2 * max(organic)
    describe(engine, "ad3", slot=None)
    assert ids(engine.recommend("u1", n=8, expose=False))[3] == "ad2"


def test_the_gap_holds_over_pages(opened: Open) -> None:
    engine = opened(**ADS)
    for n in range(9):
        describe(engine, f"ad{n}", slot="ad", bid=n)
    feed: list[str] = []
    cursor = ""
    for _ in range(4):
        answer = engine.recommend("u1", n=5, cursor=cursor, expose=False)
        assert not set(ids(answer)) & set(feed)
        feed, cursor = feed + ids(answer), answer.cursor
    assert [i + 1 for i, item in enumerate(feed) if item.startswith("ad")] == [4, 8, 12, 16, 20]


def test_who_may_see_what_holds_for_feeds_fallbacks_and_similar_items(opened: Open) -> None:
    engine = opened(filters__eligible=True)
    engine.append(EventBatch.of({"kind": [int(Kind.USER)], "user_id": "u1", "payload": '{"age": 30}'}))
    engine.append(click("u1", "i1"))
    alike = [x.item_id for x in engine.similar("i1", 5).items]
    for item in alike[:3]:
        describe(engine, item, min_age=18)
    left = [x.item_id for x in engine.similar("i1", 50).items]
    assert alike[3] in left
    assert not set(alike[:3]) & set(left), "nobody is asked for their age there"
    for n in range(N_ITEMS):
        describe(engine, f"i{n}", min_age=18)
    assert len(ids(engine.recommend("u1", n=5, expose=False))) == 5
    for nobody in ("u2", "a stranger"):
        answer = engine.recommend(nobody, n=5, expose=False)
        assert ids(answer) == []
        assert "nothing left to show" in answer.degraded


def test_the_examples_of_the_documentation_are_configs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rerank.md").read_text("utf-8")
    for section in re.split(r"^## ", page, flags=re.MULTILINE):
        text = "".join(re.findall(r"^    (.*\n)", section, flags=re.MULTILINE))
        workspace = Workspace(Path("anywhere"), tomllib.loads(text))
        chain, _ = Builder(workspace, State()).chain(None)
        assert len(chain.rules) == text.count("[[rerank.rules]]")
        assert ("eligible" in [f.reason for f in chain.filters]) == ("[filters.eligible]" in text)
    assert "[[rerank.rules]]" in page


def test_reserves_reach_the_chain_and_marked_channels_are_served_untrained(opened: Open, make: Make) -> None:
    engine = opened()
    chain, missing = Builder(make(**ADS), engine.state).chain(load(make().artifacts))
    assert (missing, chain.reserve) == ([], {"ads": 5})
    assert [channel.name for channel, _ in chain.channels] == ["popular", "itemcf", "ads"]
    assert Plans.of(make(**ADS)).models == {}
    with pytest.raises(ConfigError, match="reserve"):
        Builder(make(retrieval__channels__ads={"kind": "marked", "reserve": -1}), engine.state)
