"""Engines on workspaces in every condition, through their starts, models and stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from feedmill.core.clock import FixedClock
from feedmill.core.errors import ArtifactError, ConfigError, WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.metrics.exploration import exploration
from feedmill.publish import load, promote, rollback, write
from feedmill.retrieval.unshown import UnshownChannel
from feedmill.serve.engine import Engine
from feedmill.state import State
from serve.world import CONFIG, START_MS, Make, Open, about, click, ids, log_of, seen_by, train

# Workspaces in every condition


def test_an_empty_log_gives_an_empty_feed(opened: Open, tmp_path: Path) -> None:
    engine = opened(Workspace.create(tmp_path / "empty", CONFIG))
    answer = engine.recommend("u1")
    assert answer.items == []
    assert answer.cursor == ""
    assert set(answer.degraded) == {"fallback", "no model", "empty"}
    engine.warm()
    engine.append(click("u1", "i1"))
    assert ids(engine.recommend("u2")) == ["i1"]


def test_without_a_model_popularity_comes_from_the_state(opened: Open, make: Make) -> None:
    workspace = make()
    (workspace.artifacts / "current").unlink()
    engine = opened(workspace)
    answer = engine.recommend("u1", n=5)
    assert len(answer.items) == 5
    assert not set(ids(answer)) & seen_by(engine, "u1")
    assert set(answer.degraded) == {"fallback", "no model"}
    assert engine.status()["problems"] == ["no model"]


def test_a_channel_added_since_training_is_named(opened: Open) -> None:
    engine = opened(retrieval__channels__itemcf2={"kind": "itemcf"})
    answer = engine.recommend("u1")
    assert len(answer.items) == 10
    assert answer.degraded == ["retrieval.itemcf2: not trained"]


def test_a_ranker_the_config_wants_and_the_artifact_lacks_is_named(opened: Open) -> None:
    assert opened(rank__kind="mmoe").recommend("u1").degraded == ["rank: not trained"]


def test_a_channel_of_another_kind_than_trained_is_refused(make: Make) -> None:
    workspace = make(retrieval__channels__itemcf={"kind": "popular"})
    with pytest.raises(ArtifactError, match="feedmill train"):
        Engine.open(workspace)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"serve__prot": 1}, 'did you mean "port"'),
        ({"serve__clock": "sun"}, r"serve\.clock"),
        ({"retrieval__channels__itemcf__limit": 0}, r"retrieval\.channels\.itemcf\.limit"),
        ({"retrieval__channels__rank": {"kind": "popular"}}, "another name"),
        ({"filters__sene": True}, 'did you mean "seen"'),
        ({"prerank__kepe": 3}, 'did you mean "keep"'),
        ({"rerank__rules": [{"kind": "mrm"}]}, 'did you mean "mmr"'),
        ({"log__kind": "sqlit"}, 'did you mean "sqlite"'),
        ({"log__busy": 3}, 'did you mean "busy_s"'),
        ({"prerank__channel": "itemfc"}, 'did you mean "itemcf"'),
        ({"state__history_len": -1}, r"state\.history_len"),
    ],
)
def test_a_mistake_in_the_config_shows_before_anything_is_served(
    make: Make, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine.open(make(**overrides))


def test_filters_can_be_switched_off_and_on(opened: Open) -> None:
    engine = opened(filters__seen=False, filters__shown_recently={"times": 1, "hours": 1.0})
    first = engine.recommend("u1", n=20)
    assert set(ids(first)) & seen_by(engine, "u1")
    assert not set(ids(first)) & set(ids(engine.recommend("u1", n=20)))


def test_a_damaged_artifact_is_refused_at_the_start(make: Make) -> None:
    workspace = make()
    (array,) = workspace.artifacts.glob("*/itemcf/sims.npy")
    array.write_bytes(array.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match="bytes"):
        Engine.open(workspace)


def test_an_artifact_of_another_log_is_refused_at_the_start(make: Make) -> None:
    workspace = make()
    stranger = State()
    stranger.fold(EventBatch.of({"kind": int(Kind.CLICK), "user_id": "x", "item_id": "y"}))
    promote(workspace.artifacts, write(workspace.artifacts, {}, about(stranger)))
    with pytest.raises(ArtifactError, match="of this log"):
        Engine.open(workspace)
    promote(workspace.artifacts, write(workspace.artifacts, {}, {}))
    with pytest.raises(ArtifactError, match="does not say"):
        Engine.open(workspace)


def test_a_failed_start_lets_go_of_the_workspace(make: Make) -> None:
    workspace = make()
    promote(workspace.artifacts, write(workspace.artifacts, {}, {}))
    with pytest.raises(ArtifactError):
        Engine.open(workspace, exclusive=True)
    rollback(workspace.artifacts)
    with Engine.open(workspace, exclusive=True), pytest.raises(WorkspaceError), Engine.open(workspace, exclusive=True):
        pass


# Models come and go


def test_a_promoted_artifact_is_swapped_in_and_rolled_back(opened: Open) -> None:
    engine = opened()
    before = engine.status()["version"]
    assert not engine.reload()
    engine.append(click("u1", "i0"))
    version = train(engine.workspace)
    assert engine.reload()
    assert engine.recommend("u1").version == version != before
    rollback(engine.workspace.artifacts)
    assert engine.reload()
    assert engine.recommend("u1").version == before


def test_a_new_artifact_that_cannot_be_used_leaves_the_old_one_serving(opened: Open) -> None:
    engine = opened()
    before = engine.status()["version"]
    promote(engine.workspace.artifacts, write(engine.workspace.artifacts, {}, {}))
    for _ in range(2):
        with pytest.raises(ArtifactError, match="does not say"):
            engine.reload()
    assert engine.recommend("u1").version == before


def test_a_channel_that_cannot_pre_rank_is_named(opened: Open) -> None:
    assert opened(prerank__channel="itemcf").recommend("u1").degraded == ["prerank: itemcf has no vectors"]


def until(holds: Callable[[], bool]) -> None:
    start = perf_counter()
    while not holds():
        assert perf_counter() - start < 20
        threading.Event().wait(0.005)


def test_in_the_background_events_artifacts_and_trouble_are_noticed(opened: Open) -> None:
    engine = opened()
    engine.start_following()
    other = SqliteLog(engine.workspace.log)
    end = other.append(click("u1", "i0")).offset
    other.close()
    until(lambda: engine.state.offset == end)
    version = train(engine.workspace)
    until(lambda: engine.status()["version"] == version)
    promote(engine.workspace.artifacts, write(engine.workspace.artifacts, {}, {}))
    until(lambda: "does not say" in str(engine.status()["problems"]))
    rollback(engine.workspace.artifacts)
    until(lambda: engine.status()["problems"] == [])
    engine.stop_following()


# Starts and stops


def test_who_serves_saves_the_state_and_starts_from_it(make: Make) -> None:
    workspace = make()
    with Engine.open(workspace, exclusive=True) as engine:
        engine.append(click("u1", "i0"))
        offset = engine.state.offset
    (snapshot,) = workspace.state.iterdir()
    assert int(snapshot.name) == offset
    with Engine.open(workspace) as engine:
        assert engine.state.offset == offset


def test_a_look_from_elsewhere_leaves_no_snapshot(make: Make) -> None:
    workspace = make()
    with Engine.open(workspace) as engine:
        engine.recommend("u1")
    assert not workspace.state.exists()


def test_a_damaged_snapshot_costs_a_replay_and_nothing_else(
    make: Make, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    workspace = make()
    with Engine.open(workspace, exclusive=True) as engine:
        expected = engine.recommend("u1", expose=False, time_ms=START_MS + 10**6, seed=1).items
    for file in workspace.state.glob("*/*.npy"):
        file.write_bytes(b"nothing")
    with Engine.open(workspace) as engine:
        assert engine.recommend("u1", expose=False, time_ms=START_MS + 10**6, seed=1).items == expected


def test_the_log_clock_starts_at_the_newest_event(make: Make) -> None:
    with Engine.open(make()) as engine:
        assert 0 <= engine.clock.now_ms() - engine.state.newest_ms < 60_000
    with Engine.open(make(serve__clock="wall")) as engine:
        assert engine.clock.now_ms() - engine.state.newest_ms > 86_400_000
    with Engine.open(make(), FixedClock(5)) as engine:
        assert engine.trace(engine.recommend("u1").request_id).time_ms == 5


def test_requests_and_events_from_many_threads_at_once(opened: Open) -> None:
    engine = opened()
    before = engine.live.log.end
    n = 12

    def use(user: int) -> int:
        items = 0
        for k in range(n):
            answer = engine.recommend(f"u{user}", n=3)
            assert answer.degraded == []
            assert len(set(ids(answer))) == 3
            items += 3
            engine.append(click(f"u{user}", f"i{k}", event_id=f"{user}-{k}"))
        return items

    with ThreadPoolExecutor(6) as pool:
        n_shown = sum(pool.map(use, range(6)))
    engine.follow()
    assert engine.live.log.end == engine.state.offset == before + n_shown + 6 * n
    replayed = State(engine.state.config)
    replayed.fold(log_of(engine))
    for user in range(6):
        assert np.array_equal(
            replayed.seen(replayed.users.row(f"u{user}")), engine.state.seen(engine.state.users.row(f"u{user}"))
        )


def test_the_path_stays_quiet(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="feedmill"):
        opened().recommend("u1")
    assert caplog.text == ""


# What channels learn while serving


def leftovers(engine: Engine, user_id: str) -> dict[str, float]:
    """The items of a feed that the cache of unshown candidates had, with the score it gave them."""
    items = engine.recommend(user_id, n=60, expose=False).items
    return {i.item_id: i.channels["unshown"] for i in items if "unshown" in i.channels}


def test_what_had_no_room_is_a_candidate_of_the_next_feed_whatever_is_promoted_meanwhile(
    opened: Open, make: Make
) -> None:
    workspace = make(retrieval__channels__unshown={"limit": 20}, rerank__rules=[])
    train(workspace)
    engine = opened(workspace)
    engine.warm()  # asks for feeds that are nobody's
    assert leftovers(engine, "u0") == {}
    assert set(ids(engine.recommend("u1", n=3))).isdisjoint(leftovers(engine, "u1"))
    first, parts = leftovers(engine, "u1"), engine.model.served.pipeline.chain.channels
    assert len(first) > 20
    assert max(first.values()) == 1
    version = engine.model.served.pipeline.chain.version
    artifact = workspace.artifacts
    promote(artifact, write(artifact, load(artifact, version).parts, {**about(engine.state), "again": 1}))
    assert engine.reload()
    assert engine.model.served.pipeline.chain.channels is not parts
    assert leftovers(engine, "u1").keys() == first.keys()
    assert leftovers(engine, "stranger") == {}


def test_a_cache_that_fails_costs_no_feed(opened: Open, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make(retrieval__channels__unshown={"limit": 20})
    train(workspace)
    engine = opened(workspace)
    monkeypatch.setattr(UnshownChannel, "remember", lambda *_: 1 / 0)
    answer = engine.recommend("u1", n=3)
    assert len(answer.items) == 3
    assert answer.degraded == ["remember.unshown: failed"]


def test_what_exploration_costs_is_read_off_traces_and_clicks(opened: Open, make: Make) -> None:
    workspace = make(retrieval__channels__fresh={"limit": 30, "quota": 5, "newest": 0, "max_clicks": 1000})
    train(workspace)
    engine = opened(workspace)
    answers = [engine.recommend(f"u{k}", n=20) for k in range(6)]
    explored = [i for a in answers for i in a.items if set(i.channels) == {"fresh"}]
    for a in answers:
        engine.append(click(a.user_id, a.items[0].item_id, request_id=a.request_id))
    cost = exploration([engine.trace(a.request_id) for a in answers], log_of(engine))
    assert cost.n_shown == sum(len(a.items) for a in answers)
    assert cost.n_explored == len(explored) > 0
    assert 0 < cost.share < 1
    rate = cost.share * cost.click_rate + (1 - cost.share) * cost.click_rate_others
    assert rate == pytest.approx(6 / cost.n_shown)
