"""Rows that move while a version is served: taken up without a restart, told in the trace, made again from the log."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.workspace import Workspace
from feedmill.features.grown import USER_TABLE
from feedmill.features.spec import from_dict
from feedmill.publish import current, delta, load
from feedmill.publish.delta import Change, Delta
from feedmill.serve.engine import Engine
from feedmill.serve.skew import skew
from ranked_worlds import factored, ranked
from rankers import trained
from worlds import START_MS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ranked(tmp_path_factory.mktemp("ready") / "feed", factored(trained())).path


@pytest.fixture
def workspace(ready: Path, tmp_path: Path) -> Workspace:
    return Workspace.open(shutil.copytree(ready, tmp_path / "feed"))


def moved(workspace: Workspace, seq: int, by: float) -> Delta:
    """Every row of user ids in the ranker's table, moved."""
    version = current(workspace.artifacts) or ""
    part = load(workspace.artifacts, version).part("rank")
    spec = from_dict(part.config["spec"])
    low = spec.offsets()[USER_TABLE]
    rows = np.arange(low, low + spec.tables[USER_TABLE], dtype=np.int32)
    values = part.arrays["embedding"][rows] + np.float32(by)
    return Delta(version, seq, {"rank": {"embedding": Change(rows, values)}}, {"offset": 0})


def scores(engine: Engine, *, expose: bool = False) -> dict[str, float]:
    answer = engine.recommend("u1", n=20, time_ms=START_MS + 10**6, expose=expose)
    return {i.item_id: i.scores["click"] for i in answer.items}


def test_a_running_engine_takes_up_the_newest_rows_and_one_that_starts_has_them(workspace: Workspace) -> None:
    with Engine.open(workspace) as engine:
        before = scores(engine)
        delta.write(workspace.artifacts, moved(workspace, 1, 0.1))
        delta.write(workspace.artifacts, moved(workspace, 2, 0.3))
        assert scores(engine) == before, "not before it looks"
        engine.reload()
        after = scores(engine)
        assert after != before
        answer = engine.recommend("u1", expose=False)
        assert engine.trace(answer.request_id).steps == 2
        assert answer.version == current(workspace.artifacts)
    with Engine.open(workspace) as again:
        assert scores(again) == after


def test_what_was_served_before_and_after_rows_moved_is_made_again_alike(workspace: Workspace) -> None:
    with Engine.open(workspace) as engine:
        scores(engine, expose=True)
        delta.write(workspace.artifacts, moved(workspace, 1, 0.2))
        engine.reload()
        scores(engine, expose=True)
    found = skew(workspace)
    assert (found.requests, found.differing) == (2, 0)
    for path in (workspace.artifacts / "deltas").rglob("*.npz"):
        path.unlink()
    assert sum(skew(workspace).versions_gone.values()) == 1


def test_a_damaged_delta_leaves_what_is_served(workspace: Workspace) -> None:
    with Engine.open(workspace) as engine:
        before = scores(engine)
        path = delta.write(workspace.artifacts, moved(workspace, 1, 0.2))
        path.write_bytes(path.read_bytes()[:100])
        engine.reload()
        assert scores(engine) == before
