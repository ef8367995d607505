from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from feedmill.core.errors import NotFoundError
from feedmill.core.request import FeedItem, StageTrace, Trace
from feedmill.log.traces import BELOW_CUT, BELOW_SLATE, read_traces
from feedmill.samples.hard import HardNegatives
from feedmill.serve.trace_store import TraceStore
from serve.world import Open


def trace(request_id: str) -> Trace:
    item = FeedItem(item_id="i", title="I", position=0, value=1.5, channels={"c": 2.0}, scores={"click": 0.5}, why="so")
    stages = [StageTrace(stage="rank", ms=1.0, n_in=3, n_out=1, dropped={"rank": 2})]
    return Trace(request_id=request_id, user_id="u", time_ms=5, stages=stages, items=[item], fates={"rank": ["a", "b"]})


def test_a_trace_is_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.sqlite")
    store.put(trace("r1"))
    assert store.get("r1") == trace("r1")
    store.close()
    assert TraceStore(tmp_path / "traces.sqlite").get("r1") == trace("r1")


def test_only_the_last_ones_are_kept(tmp_path: Path) -> None:
    for part in (range(5), range(5, 8)):
        store = TraceStore(tmp_path / "traces.sqlite", keep=4)
        for i in part:
            store.put(trace(f"r{i}"))
        store.close()
    again = TraceStore(tmp_path / "traces.sqlite", keep=4)
    assert [again.get(f"r{i}").request_id for i in range(4, 8)] == ["r4", "r5", "r6", "r7"]
    for i in range(4):
        with pytest.raises(NotFoundError, match=f"r{i}"):
            again.get(f"r{i}")


def test_memory_is_bounded_and_the_file_has_the_rest(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.sqlite", keep=50, queue=2)
    store.put(trace("first"))
    store.close()
    for i in range(2):
        store.put(trace(f"r{i}"))
    assert store.get("first") == trace("first")
    store.close()


def test_an_unknown_request_says_what_would_be_known(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="last 10000 feeds"):
        TraceStore(tmp_path / "traces.sqlite").get("nothing")


def test_a_store_goes_on_after_it_was_closed(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.sqlite")
    for request_id in ("a", "b"):
        store.put(trace(request_id))
        store.close()
    assert TraceStore(tmp_path / "traces.sqlite").get("b") == trace("b")


def test_a_file_that_cannot_be_written_costs_the_trace_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "traces.sqlite").write_bytes(b"this is no database" * 100)
    store = TraceStore(tmp_path / "traces.sqlite")
    store.put(trace("r"))
    assert store.get("r") == trace("r")
    store.close()
    assert store.n_dropped == 1
    assert "not written" in caplog.text
    with pytest.raises(NotFoundError):
        TraceStore(tmp_path / "traces.sqlite").get("r")


def test_the_file_is_plain_sqlite(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.sqlite")
    store.put(trace("r"))
    store.close()
    connection = sqlite3.connect(tmp_path / "traces.sqlite")
    assert connection.execute("select request_id from traces").fetchall() == [("r",)]
    connection.close()


@pytest.mark.parametrize(("rules", "stage"), [([], BELOW_SLATE), ([{"kind": "mmr"}], "rerank.mmr")])
def test_what_a_feed_dropped_is_read_as_hard_negatives(opened: Open, rules: list[dict[str, str]], stage: str) -> None:
    """From the chain's own words through the file: below pre-rank's cut, and below the slate or out by a rule."""
    engine = opened(prerank__keep=20, rerank__rules=rules)
    shown = engine.recommend("u1", n=5)
    told = engine.trace(shown.request_id)
    users, items = engine.state.users, engine.state.items
    path = engine.workspace.traces
    engine.close()
    hard = HardNegatives.of(read_traces(path), users, items)
    found = items.ids(hard[users.row("u1")])
    assert {BELOW_CUT, stage} <= set(told.fates)
    assert set(told.fates[BELOW_CUT]) <= set(found)
    assert set(found) & set(told.fates[stage])
    assert not set(found) & {item.item_id for item in shown.items}
