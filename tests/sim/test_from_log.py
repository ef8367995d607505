"""A world out of a log: planted tastes are found again, and a real log becomes an audience."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audiences import has_seen
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.movielens import MovieLensLatest
from feedmill.sim.config import DAY_MS, TasteConfig, WorldConfig
from feedmill.sim.from_log import read_pairs, scaled
from feedmill.sim.views import Asks, Slates
from feedmill.sim.world import World

START = 1_700_000_000_000
STILL = WorldConfig(taste=TasteConfig(drift_share=0))


def planted(n_users: int, n_items: int, n_each: int, *, topics: bool, seed: int = 0) -> tuple[EventBatch, np.ndarray]:
    """Each person has two tastes among four groups of items and chooses by them; float[N, M] what they think."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 4, n_items)
    wish = random.normal(size=(n_users, 4))
    think = wish[:, group] + 0.3 * random.normal(size=n_items)
    chosen = np.argsort(-(think + random.gumbel(size=think.shape)), axis=1)[:, :n_each]
    said = [json.dumps({"title": f"T{i}", **({"topics": [f"g{g}"]} if topics else {})}) for i, g in enumerate(group)]
    ids = [f"i{i}" for i in range(n_items)]
    items = EventBatch.of({"kind": int(Kind.ITEM), "time_ms": START, "item_id": ids, "payload": said})
    user = np.repeat(np.arange(n_users), n_each)
    clicks = {
        "kind": int(Kind.CLICK), "time_ms": START + np.arange(user.size),
        "user_id": [f"u{u}" for u in user], "item_id": [f"i{i}" for i in chosen.ravel()],
    }  # fmt: skip
    return EventBatch.concat([items, EventBatch.of(clicks)]), think


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


@pytest.mark.parametrize("topics", [True, False])
def test_planted_tastes_are_found_again(topics: bool) -> None:
    events, think = planted(300, 200, 40, topics=topics)
    world = World.from_log(events, STILL, 1)
    assert world.users.ids[:2] == ["u0", "u1"]
    assert world.videos.ids == [f"i{i}" for i in range(200)]
    user, item = np.divmod(np.arange(300 * 200, dtype=np.int32), 200)
    fitted = world.affinity(user, item, np.full(len(user), world.now_ms)).reshape(300, 200)
    found = [rank_correlation(fitted[u], think[u]) for u in range(300)]
    assert np.mean(found) > 0.7
    assert np.quantile(found, 0.05) > 0.3
    assert fitted.mean() == pytest.approx(0, abs=0.3)
    assert fitted.std() == pytest.approx(1, abs=0.35)


def test_what_was_chosen_has_been_seen() -> None:
    events, _ = planted(30, 50, 5, topics=True)
    world = World.from_log(events, WorldConfig(), 1)
    strength = read_pairs(events).strength.toarray()
    user, item = np.divmod(np.arange(30 * 50), 50)
    np.testing.assert_array_equal(has_seen(world.memory, user, item).reshape(30, 50), strength > 0)


def test_what_people_did_adds_up_and_later_attributes_win() -> None:
    rows = [
        {"kind": Kind.ITEM, "item_id": "a", "payload": '{"title": "A", "duration_s": 33}', "time_ms": 1},
        {"kind": Kind.USER, "user_id": "y", "payload": '{"city": "Ulm"}', "time_ms": 1},
        {"kind": Kind.IMPRESSION, "user_id": "x", "item_id": "b", "time_ms": 2},
        {"kind": Kind.CLICK, "user_id": "x", "item_id": "a", "time_ms": 3},
        {"kind": Kind.LIKE, "user_id": "x", "item_id": "a", "time_ms": 4},
        {"kind": Kind.SHARE, "user_id": "x", "item_id": "a", "time_ms": 4},
        {"kind": Kind.CLICK, "user_id": "y", "item_id": "b", "time_ms": 5},
        {"kind": Kind.DISLIKE, "user_id": "y", "item_id": "b", "time_ms": 6},
        {"kind": Kind.ITEM, "item_id": "a", "payload": '{"duration_s": 44, "deleted": true}', "time_ms": 7},
        {"kind": Kind.ITEM, "item_id": "b", "payload": "not json", "time_ms": 8},
    ]
    pairs = read_pairs(EventBatch.rows(rows))
    assert pairs.users == ["y", "x"]
    assert pairs.items == ["a", "b"]
    assert pairs.strength.toarray().tolist() == [[0, -1], [2, 0]]
    assert pairs.end_ms == 8
    assert pairs.first_ms.tolist() == [1, 2]
    world = World.from_log(EventBatch.rows(rows), WorldConfig(), 1)
    assert world.videos.duration_s[0] == 44
    assert world.videos.is_on.tolist() == [False, True]
    assert json.loads(world.users.said[0]) == {"city": "Ulm"}


def test_nobody_did_anything() -> None:
    items = EventBatch.of({"kind": int(Kind.ITEM), "time_ms": 1, "item_id": ["a"], "payload": ["{}"]})
    for events in (items, EventBatch.empty(), []):
        with pytest.raises(DataError, match="nobody did anything"):
            World.from_log(events, WorldConfig(), 1)


def test_one_person_and_one_item() -> None:
    click = {"kind": Kind.CLICK, "user_id": "x", "item_id": "a", "time_ms": START}
    world = World.from_log(EventBatch.rows([click]), WorldConfig(), 1)
    world.begin_day()
    asks = Asks(np.zeros(1, np.int32), np.array([world.now_ms]), np.zeros(1, np.int32))
    assert len(world.respond(asks, Slates(world.oracle_slates(asks, 3))).views) == 1


def test_the_day_after_the_log_the_audience_lives() -> None:
    events, _ = planted(30, 50, 5, topics=True)
    worlds = [World.from_log(iter([events[:100], events[100:]]), WorldConfig(), 1) for _ in range(2)]
    sessions = [world.begin_day() for world in worlds]
    np.testing.assert_array_equal(sessions[0].time_ms, sessions[1].time_ms)
    assert worlds[0].now_ms % DAY_MS == 0
    assert 0 < worlds[0].now_ms - START <= DAY_MS
    said = worlds[0].describe()
    first = json.loads(said.table.column("payload")[0].as_py())
    assert first["title"] == "T0"
    assert first["duration_s"] >= 5
    worlds[0].end_day()
    worlds[0].begin_day()
    assert len(worlds[0].describe()) == 0
    assert len(worlds[0].users) == 30


def test_scaled_has_the_wanted_spread_for_everybody() -> None:
    random = np.random.default_rng(0)
    likes, vectors = random.normal(size=(20, 5)) * random.lognormal(size=(20, 1)), random.normal(size=(300, 5))
    likes[3] = 0
    spread = (scaled(likes, vectors.astype(np.float32), 0.7) @ vectors.T).std(axis=1)
    np.testing.assert_allclose(np.delete(spread, 3), 0.7, rtol=1e-3)
    assert spread[3] == 0


def test_movielens_becomes_an_audience(shared_data: Path) -> None:
    folder = shared_data / "ml-latest-small"
    if not folder.is_dir():
        pytest.skip("no ml-latest-small in the folder of real data")
    data = MovieLensLatest(folder)
    world = World.from_log([data.items(), *data.events()], STILL, 1)
    assert (len(world.users), len(world.videos), world.config.n_topics) == (610, 9742, 19)
    random, now = np.random.default_rng(0), world.now_ms
    user, item = (random.integers(0, n, 50_000).astype(np.int32) for n in (610, 9742))
    affinity = world.affinity(user, item, np.full(50_000, now))
    assert affinity.mean() == pytest.approx(0, abs=0.15)
    assert affinity.std() == pytest.approx(1, abs=0.2)
    rated = read_pairs([*data.events()]).strength
    mine, theirs = (m.astype(np.int32) for m in rated.nonzero())
    liked = world.affinity(mine, _rows(world, data, theirs), np.full(len(mine), now))
    assert liked.mean() > affinity.mean() + 1  # what people rated they like better than what is drawn


def _rows(world: World, data: MovieLensLatest, item: np.ndarray) -> np.ndarray:
    ids = read_pairs([*data.events()]).items
    row = {name: k for k, name in enumerate(world.videos.ids)}
    return np.array([row[name] for name in ids], np.int32)[item]
