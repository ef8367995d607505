"""A feed whose old events are dropped goes on learning, and serves what it has learned."""

from __future__ import annotations

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.features.served.graph import Graph
from feedmill.log.sqlite import SqliteLog
from feedmill.publish import load
from feedmill.serve.engine import Engine
from feedmill.state import State, StateConfig
from feedmill.state.retain import retain
from shown_worlds import impressions
from worlds import START_MS, click

pytestmark = pytest.mark.slow

TOML = """
[serve]
clock = "log"
[retrieval.channels]
popular = { limit = 30 }
itemcf = { limit = 30 }
two_tower = { kind = "vector" }
[train]
n_threads = 1
[train.two_tower]
epochs = 1
embedding_dim = 4
hidden_dims = [8, 4]
[rank]
kind = "dnn"
embedding_dim = 4
hidden_dims = [8]
epochs = 1
[update.nightly]
hold_share = 0.3
"""
EARLY = [
    click(START_MS + k, "early", f"i{k % 5}", kind) for k in range(40) for kind in (Kind.IMPRESSION, Kind.CLICK)
]  # who never comes again


def append(at: Workspace, events: EventBatch) -> int:
    log = SqliteLog(at.log)
    log.append(events)
    end = log.end
    log.close()
    return end


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Workspace:
    """Trained on the first part of a log of two days, the older of which has been dropped since."""
    at = Workspace.create(tmp_path_factory.mktemp("life") / "shop", TOML)
    events = impressions(3000, rate=0.3)[0]
    append(at, EventBatch.concat([events[:100], EventBatch.rows(EARLY), events[100:4000]]))
    assert run("train", "--dir", at.path).exit_code == 0
    append(at, events[4000:])
    assert "events dropped" in run("data", "retain", "--days", "1", "--dir", at.path).output
    return at


def served(at: Workspace) -> State:
    """The state of a server that has loaded the current version, which checks its ids, and answered."""
    about = load(at.artifacts).about
    engine = Engine.open(at)
    try:
        state, graph = engine.live.state, Graph(load(at.artifacts).part("rank"), engine.live.state)
        assert (about["n_users"], about["n_items"]) == (len(state.users), len(state.items))
        assert (about["users_digest"], about["items_digest"]) == (state.users.digest(), state.items.digest())
        for user_id in ("u1", "early", "somebody new"):
            answer = engine.recommend(user_id, n=5, expose=False)
            assert len(answer.items) == 5
            scores = graph.score(state.view(user_id, state.newest_ms), np.arange(1, len(state.items), dtype=np.int32))
            assert np.isfinite(scores).all()
        return state
    finally:
        engine.close()


def test_a_night_after_retention_is_published_and_served(shop: Workspace, run: Run) -> None:
    log = SqliteLog(shop.log)
    start, end = log.start, log.end
    log.close()
    base = load(shop.artifacts)
    assert 0 < start < base.about["offset"] < end
    done = run("update", "--full", "--dir", shop.path)
    assert done.exit_code == 0, done.output
    made = load(shop.artifacts)
    assert made.about["base"] == base.version
    assert (made.about["from_offset"], made.about["offset"]) == (base.about["offset"], end)
    state = served(shop)
    row = state.users.row("early")
    assert 0 < row < base.about["n_users"]
    before, after = (np.asarray(a.part("rank").arrays["slots.user"])[row] for a in (base, made))
    assert before == after > 0, "who was known before the cut has the row that was learned"


def test_training_anew_learns_from_what_is_left(shop: Workspace, run: Run) -> None:
    done = run("train", "--dir", shop.path)
    assert done.exit_code == 0, done.output
    about = load(shop.artifacts).about
    assert about["from_ms"] > START_MS
    state = served(shop)
    assert len(state.seen(state.users.row("early"))) == 5, "what came before is still known"
    for command in (["evaluate"], ["report", "features"], ["report", "ranking"], ["tune", "itemcf", "-n", "1"]):
        ran = run(*command, "--dir", shop.path)
        assert ran.exit_code == 0, (command, ran.output, ran.exception)


def test_what_was_held_out_and_then_dropped_cannot_be_measured(shop: Workspace, run: Run) -> None:
    log = SqliteLog(shop.log)
    retain(log, shop.state, StateConfig(), 2**62, at_most=log.end - 300)
    log.close()
    error = run("evaluate", "--dir", shop.path).exception
    assert isinstance(error, DataError)
    assert "train again" in error.fix
    changed = run("train", "--dir", shop.path, "--set", "state.history_len=7").exception
    assert isinstance(changed, ArtifactError)
    assert "put the [state] settings back" in changed.fix
