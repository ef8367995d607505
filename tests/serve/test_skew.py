"""Features kept while serving, made again from the log: the same, unless somebody tampered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import Trace
from feedmill.core.workspace import Workspace
from feedmill.features import FeaturesConfig
from feedmill.features.served.graph import Graph
from feedmill.log.memory import MemoryLog
from feedmill.log.traces import open_to_write, read_traces, write
from feedmill.serve.engine import Engine
from feedmill.serve.skew import LATE_MS, Late, Skew, skew
from ranked_worlds import factored, half, ranked
from rankers import Trained, trained
from train.trees_world import World
from worlds import START_MS

pytestmark = pytest.mark.slow
FEATURES = FeaturesConfig(histories={"clicked": [3, 10]}, attention=("clicked",))


@pytest.fixture(scope="module")
def ranker() -> Trained:
    return trained(features=FEATURES)


@pytest.fixture(scope="module")
def ready(ranker: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ranked(tmp_path_factory.mktemp("ready") / "feed", factored(ranker)).path


@pytest.fixture
def workspace(ready: Path, tmp_path: Path) -> Workspace:
    return Workspace.open(shutil.copytree(ready, tmp_path / "feed"))


def live(workspace: Workspace, tamper: Callable[[Engine, Any], None] | None = None) -> list[str]:
    """People known and not known ask, and click, some saying of themselves what the log does not; the request ids."""
    asked = []
    with Engine.open(workspace) as engine:
        if tamper is not None:
            tamper(engine, engine.model.served.pipeline.chain.rank)
        for k in range(24):
            user = f"u{k % 7 + 1}" if k % 3 else f"new{k % 4}"
            answer = engine.recommend(user, n=4, context=({}, {"group": "odd"}, {"group": "never seen"})[k % 3])
            assert answer.degraded == []
            item = answer.items[k % 4].item_id
            engine.append(EventBatch.of({"kind": [Kind.CLICK], "user_id": user, "item_id": item,
                                         "time_ms": engine.clock.now_ms()}))  # fmt: skip
            asked.append(answer.request_id)
    return asked


def graph_of(scorer: Any) -> Graph:
    graph = scorer._rank
    found: Graph = getattr(graph, "_graph", graph)  # below its calibration
    return found


def different(found: Skew) -> set[str]:
    return {x.feature for x in (*found.features, *found.scores) if x.differing}


# What is served is what the log gives


def kinds(ranker: Trained) -> dict[str, Part]:
    cut = factored(ranker)
    return {"factored": cut, "halves": half(cut), "whole": ranker.part}


@pytest.mark.parametrize("kind", ["factored", "halves", "whole"])
def test_a_net_reads_what_the_log_gives(kind: str, ranker: Trained, tmp_path: Path) -> None:
    workspace = ranked(tmp_path / "feed", kinds(ranker)[kind])
    live(workspace)
    found = skew(workspace)
    assert (found.requests, found.rows, found.differing) == (24, 96, 0)
    assert different(found) == set()
    names = {(x.side, x.feature) for x in found.features}
    assert {("user", "clicked_3"), ("user", "group"), ("item", "author"), ("item", "attention.clicked_10")} <= names
    assert (("item", "item_first") in names) == (kind != "whole")
    assert [x.rows for x in found.features if x.feature == "clicked_3"] == [24], "a request's user counts once"
    assert max(x.largest for x in found.features if x.feature != "item_first") == 0, "bit for bit"
    assert found.versions_gone == {}
    assert (found.beyond_log, found.late_events, found.late_requests) == (0, 0, 0)


def test_trees_read_what_the_log_gives(tmp_path: Path) -> None:
    workspace = ranked(tmp_path / "feed", World().fit())
    live(workspace)
    found = skew(workspace)
    assert (found.rows, found.differing) == (96, 0)
    assert {x.feature for x in found.scores} == {"click", "like"}


def test_a_state_that_was_saved_and_restored_gives_the_same(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(workspace)
    live(workspace)
    found = skew(workspace)
    assert (found.requests, found.differing) == (48, 0)
    monkeypatch.setattr("feedmill.serve.skew.CHUNK", 5)
    assert skew(workspace) == found, "however the log is cut"


# Tampering is found, and by its name


def lost_row(engine: Engine, scorer: Any) -> None:
    """The table that an author's embedding is looked up in is off by one for one author."""
    _, slots = next(x for x in graph_of(scorer)._features._ids["item"] if x[0].name == "author")
    slots[1] = slots[2]


def moved_edge(engine: Engine, scorer: Any) -> None:
    """One bucket edge of one number."""
    numbers = graph_of(scorer)._features._numbers["item"]
    k = [n.source for n, _ in numbers._numerics].index("cross.duration_s")
    numbers._edges = numbers._edges.copy()
    numbers._edges[k, 1:-1] += 1.5


def stale_share(engine: Engine, scorer: Any) -> None:
    """What was made of one item beforehand is that of another; its ids are right."""
    items = graph_of(scorer).factored.items  # type: ignore[union-attr]
    items._stored = [np.array(a) for a in items._stored]
    items._stored[0][1:40] = items._stored[0][2:41]


def counted_twice(engine: Engine, scorer: Any) -> None:
    """The living state has counted clicks that the log has not."""
    engine.state.tables.arrays.item_sums[:, engine.state.count_names.index("click.all")] += 3


@pytest.mark.parametrize(
    ("tamper", "names", "not_names"),
    [
        (lost_row, {"author"}, {"topics", "item", "cross.duration_s", "clicked_3"}),
        (moved_edge, {"cross.duration_s"}, {"author", "cross.age_s", "item_first"}),
        (stale_share, {"item_first", "click"}, {"author", "topics", "item"}),
        (counted_twice, {"item.click.all", "rate.item.like.all/click.all"}, {"author", "item.like.all"}),
    ],
)
def test_tampering_is_found(
    tamper: Callable[[Engine, Any], None], names: set[str], not_names: set[str], workspace: Workspace
) -> None:
    asked = live(workspace, tamper)
    found = skew(workspace)
    assert 0 < found.differing <= found.rows
    assert names <= different(found)
    assert not not_names & different(found)
    line = next(x for x in found.features if x.feature in names)
    assert line.example is not None
    assert line.example.request_id in asked
    assert line.example.item_id.startswith("i")
    assert line.example.served != line.example.recomputed
    assert 1e-5 < line.largest <= 2


# What is not skew


def test_versions_that_are_gone_are_counted(workspace: Workspace) -> None:
    live(workspace)
    (version,) = {t.version for t in read_traces(workspace.traces)}
    shutil.rmtree(workspace.artifacts / version)
    found = skew(workspace)
    assert found.versions_gone == {version: 24}
    assert (found.requests, found.rows, found.share) == (0, 0, 0.0)


def again(workspace: Workspace, change: Callable[[Trace], None]) -> None:
    """The traces once more, changed."""
    traces = list(read_traces(workspace.traces))
    for t in traces:
        change(t)
    connection = open_to_write(workspace.traces)
    write(connection, traces, 1000)
    connection.close()


def test_offsets_beyond_the_log_are_counted(workspace: Workspace) -> None:
    live(workspace)

    def off(trace: Trace) -> None:
        trace.offset += 10**6 if trace.user_id == "u2" else 0

    again(workspace, off)
    found = skew(workspace)
    assert found.beyond_log > 0
    assert found.requests == 24 - found.beyond_log
    assert found.differing == 0


def test_events_that_come_late_are_counted_and_are_no_skew(workspace: Workspace) -> None:
    asked = live(workspace)
    with Engine.open(workspace) as engine:
        first, last = engine.trace(asked[0]), engine.trace(asked[-1])
        late, order = START_MS + 5, last.time_ms - 1  # the second one only changed places with a request under way
        engine.append(EventBatch.of({"kind": [Kind.CLICK] * 2, "user_id": "u1", "item_id": ["i1", "i2"],
                                     "time_ms": [late, order]}))  # fmt: skip
    assert first.time_ms - late > 1_000
    found = skew(workspace)
    assert (found.late_events, found.late_requests) == (1, 24)
    assert found.differing == 0


@pytest.mark.parametrize("n", [0, 1, 7, 200])
def test_late_events_against_a_loop(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On random logs, read a few events at a time, and requests from before the first event to after the last."""
    monkeypatch.setattr("feedmill.serve.skew.CHUNK", 7)
    random = rng(n, "late")
    times = START_MS + random.integers(0, 5_000, n)
    offsets = np.sort(random.integers(0, n + 1, 9)).tolist()
    asked = (START_MS + random.integers(0, 9_000, 9)).tolist()
    log = MemoryLog()
    if n:
        log.append(EventBatch.of({"kind": [Kind.CLICK] * n, "user_id": "u", "item_id": "i", "time_ms": times}))
    found = Late(offsets, asked)
    found.read(log, log.end)
    pairs = [
        [j >= at and int(times[j]) < time - LATE_MS for j in range(n)] for at, time in zip(offsets, asked, strict=True)
    ]
    assert found.n_requests == sum(map(any, pairs))
    assert found.n_events == sum(any(p[j] for p in pairs) for j in range(n))


def test_a_score_that_is_not_the_ranker_s(workspace: Workspace) -> None:
    live(workspace)

    def off(trace: Trace) -> None:
        trace.items[0].scores["like"] *= 1.01

    again(workspace, off)
    found = skew(workspace)
    assert different(found) == {"like"}
    assert found.differing == 24
    assert found.scores[0].largest == pytest.approx(0.01, rel=0.02)


def test_nothing_kept_is_nothing_compared(workspace: Workspace) -> None:
    with Engine.open(Workspace.open(workspace.path, {"serve.skew_share": 0.0})) as engine:
        asked = engine.recommend("u1", n=3)
        trace = engine.trace(asked.request_id)
    assert trace.features is None
    assert "skew" not in {s.stage for s in trace.stages}
    found = skew(workspace)
    assert (found.requests, found.rows, found.share) == (0, 0, 0.0)
