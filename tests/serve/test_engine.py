from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Floats, UserColumns
from feedmill.core.errors import DataError, LogError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.log.sqlite import SqliteLog
from feedmill.serve.engine import Engine
from feedmill.serve.pipeline import Pipeline
from feedmill.state import Probed, State
from serve.world import N_ITEMS, START_MS, Make, Open, click, full_disk, ids, log_of, seen_by

# What a feed is


def test_a_feed_has_what_people_alike_click_and_nothing_the_user_has_seen(opened: Open) -> None:
    engine = opened()
    answer = engine.recommend("u1", n=10)
    assert len(set(ids(answer))) == 10
    assert not set(ids(answer)) & seen_by(engine, "u1")
    by_taste = [int(i[1:]) % 2 for i in ids(answer)]
    assert sum(by_taste) >= 8, "u1 is odd"
    assert answer.degraded == []
    assert answer.version == engine.status()["version"]
    assert answer.items[0].title == f"Item {answer.items[0].item_id[1:]}"


def test_an_unknown_user_gets_what_is_popular(opened: Open) -> None:
    answer = opened().recommend("nobody has met", n=5)
    assert len(answer.items) == 5
    assert all("popular" in i.channels for i in answer.items)
    assert answer.degraded == []


def test_the_same_seed_and_state_give_the_same_feed(opened: Open) -> None:
    engine = opened(serve__expose=False)
    first, again = (engine.recommend("u3", seed=5, time_ms=START_MS + 10**6) for _ in range(2))
    assert first.items == again.items
    assert first.request_id != again.request_id


def test_an_n_beyond_the_catalogue_gives_what_there_is(opened: Open) -> None:
    engine = opened()
    assert len(engine.recommend("u1", n=1).items) == 1
    answer = engine.recommend("u1", n=500)
    assert 30 <= len(set(ids(answer))) == len(answer.items) <= N_ITEMS - 12
    assert answer.degraded == []


@pytest.mark.parametrize("n", [0, -1, 501, 10**9, True, 2.0, "ten", None])
def test_an_n_that_cannot_be_says_what_can(opened: Open, n: Any) -> None:
    with pytest.raises(DataError, match="from 1 to 500"):
        opened().recommend("u1", n=n)


@pytest.mark.parametrize("user_id", ["", "x" * 300, None, 7])
def test_a_user_id_is_text_of_some_length(opened: Open, user_id: Any) -> None:
    with pytest.raises(DataError, match="user_id"):
        opened().recommend(user_id)


@pytest.mark.parametrize("deadline_ms", [-1.0, float("nan")])
def test_a_deadline_is_not_before_now(opened: Open, deadline_ms: float) -> None:
    with pytest.raises(DataError, match="deadline_ms"):
        opened().recommend("u1", deadline_ms=deadline_ms)


# Pages


def test_pages_repeat_nothing_while_the_state_moves_and_end_when_all_was_shown(opened: Open) -> None:
    engine = opened()
    shown: list[str] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = engine.recommend("u1", n=7, cursor=cursor)
        assert [i.position for i in page.items] == list(range(len(shown), len(shown) + len(page.items)))
        shown += ids(page)
        engine.append(click("u1", page.items[0].item_id))
        cursor, pages = page.cursor, pages + 1
    assert len(shown) == len(set(shown)) == N_ITEMS


def test_a_cursor_outlives_the_process(opened: Open, make: Make) -> None:
    workspace = make()
    first = Engine.open(workspace)
    page = first.recommend("u1", n=7)
    first.close()
    assert not set(ids(page)) & set(ids(opened(workspace).recommend("u1", n=7, cursor=page.cursor)))


def test_the_cursor_of_another_user_is_refused(opened: Open) -> None:
    engine = opened()
    with pytest.raises(DataError, match="same user"):
        engine.recommend("u2", cursor=engine.recommend("u1").cursor)


# Events


def test_an_acknowledged_event_is_in_the_next_feed(opened: Open) -> None:
    engine = opened()
    item = engine.recommend("u1").items[0].item_id
    receipt = engine.append(click("u1", item))
    assert receipt.offset == engine.state.offset == engine.live.log.end
    assert item not in ids(engine.recommend("u1", n=100))


def test_an_item_taken_down_is_gone_at_once_and_back_when_it_is_put_back(opened: Open) -> None:
    engine = opened()
    item = engine.recommend("u1").items[0].item_id

    def describe(payload: str) -> None:
        engine.append(EventBatch.of({"kind": int(Kind.ITEM), "item_id": item, "payload": payload}))

    describe('{"deleted": true}')
    assert item not in ids(engine.recommend("u1", n=100))
    describe('{"available": true}')
    assert item in ids(engine.recommend("u1", n=100))


def test_an_item_nobody_described_is_an_item_without_a_title(opened: Open) -> None:
    engine = opened()
    engine.append(click("u1", "new"))
    assert engine.recommend("u1").degraded == []
    assert engine.state.items.row("new") > 0


def test_events_of_another_process_are_followed(opened: Open) -> None:
    engine = opened()
    item = engine.recommend("u1").items[0].item_id
    other = SqliteLog(engine.workspace.log)
    other.append(click("u1", item))
    other.close()
    assert item not in ids(engine.recommend("u1", n=100))


# Exposure


def test_what_was_shown_is_in_the_log_with_its_snapshot(opened: Open) -> None:
    engine = opened()
    before = engine.live.log.end
    answer = engine.recommend("u1", n=5, time_ms=START_MS + 10**6)
    shown, _ = engine.live.log.read(before)
    assert shown.numpy("kind").tolist() == [int(Kind.IMPRESSION)] * 5
    assert shown.table.column("item_id").to_pylist() == ids(answer)
    assert set(shown.table.column("request_id").to_pylist()) == {answer.request_id}
    payload = msgspec.json.decode(shown.table.column("payload")[0].as_py())
    assert payload == {"version": answer.version, "offset": before}


class Recorder:
    """A ranker that keeps the features it was given, by request."""

    heads = ("click",)

    def __init__(self, state: State) -> None:
        self.state, self.given = state, dict[str, tuple[UserColumns, Probed]]()

    def score(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Floats:
        self.given[request.request_id] = user, self.state.probe(user, candidates.item)
        return np.ones((len(candidates), 1), np.float32)


def test_the_features_of_a_feed_can_be_made_again_from_its_snapshot(opened: Open) -> None:
    engine = opened()
    pipeline, recorder = engine.model.served.pipeline, Recorder(engine.state)
    chain = replace(pipeline.chain, rank=recorder)
    engine.model.served = engine.model.served._replace(pipeline=Pipeline(chain, pipeline.names))

    def use(user: int) -> list[str]:
        answers = []
        for k in range(8):
            answers.append(engine.recommend(f"u{user % 2}", n=3).request_id)
            engine.append(click(f"u{user % 2}", f"i{10 * user + k}", time_ms=START_MS + 10**6 + k))
        return answers

    with ThreadPoolExecutor(4) as pool:
        requests = [r for answers in pool.map(use, range(4)) for r in answers]
    events, replayed = log_of(engine), State(engine.state.config)
    for trace in sorted(map(engine.trace, requests), key=lambda t: t.offset):
        replayed.fold(events[replayed.offset : trace.offset])
        user, probed = recorder.given[trace.request_id]
        again = replayed.view(trace.user_id, trace.time_ms)
        for column in ("row", "history", "history_ms", "counts"):
            np.testing.assert_array_equal(getattr(user, column), getattr(again, column))
        probed_again = replayed.probe(again, probed.item)
        for column in ("item_counts", "topic_counts", "cross"):
            np.testing.assert_array_equal(getattr(probed, column), getattr(probed_again, column))


def test_exposure_can_be_switched_off(opened: Open) -> None:
    engine = opened(serve__expose=False)
    before = engine.live.log.end
    engine.recommend("u1")
    assert engine.live.log.end == before
    engine.recommend("u1", n=3, expose=True)
    assert engine.live.log.end == before + 3


def full(*_: Any) -> Any:
    raise LogError("the disk is full", "space", "free some")


def test_a_feed_is_answered_when_the_disk_is_full_and_events_are_not_taken(opened: Open) -> None:
    engine = opened()
    with full_disk(engine):
        before = engine.live.log.end
        answer = engine.recommend("u1", n=5)
        assert len(answer.items) == 5
        assert answer.degraded == ["exposure"]
        assert "full" in engine.trace(answer.request_id).stages[-1].error
        with pytest.raises(LogError, match="full"):
            engine.append(click("u1", "i1"))
        assert engine.live.log.end == before
    assert engine.recommend("u1", n=5).degraded == []
    assert engine.append(click("u1", "i1")).n_new == 1


def test_a_feed_is_answered_when_the_log_cannot_be_read(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opened(serve__expose=False)
    monkeypatch.setattr(type(engine.live.log), "end", property(full))
    answer = engine.recommend("u1", n=5)
    assert len(answer.items) == 5
    assert answer.degraded == ["state: behind"]
    assert "disk is full" in str(engine.status()["problems"])
    monkeypatch.undo()
    assert engine.recommend("u1").degraded == []
    assert engine.status()["problems"] == []


# Traces


def test_a_trace_is_there_at_once_and_after_a_restart(opened: Open, make: Make) -> None:
    workspace = make()
    engine = Engine.open(workspace)
    answer = engine.recommend("u1", request_id="mine")
    trace = engine.trace("mine")
    assert trace.items == answer.items
    assert trace.offset > 0
    assert [s.stage for s in trace.stages][:3] == ["retrieval.popular", "retrieval.itemcf", "merge"]
    assert trace.stages[-1].stage == "exposure"
    assert set(trace.fates["seen"]) == seen_by(engine, "u1") & set(trace.fates["seen"])
    engine.close()
    assert opened(workspace).trace("mine") == trace


def test_a_request_nobody_made_has_no_trace(opened: Open) -> None:
    with pytest.raises(NotFoundError):
        opened().trace("nothing")
