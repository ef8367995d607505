"""Many requests at once: the same slates and exposures as one by one, in one write."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from feedmill.core.errors import LogError
from feedmill.core.events import Kind
from feedmill.core.request import FeedRequest
from feedmill.serve.bulk import answer, slate
from feedmill.serve.engine import Engine
from serve.test_experiments import defined, run
from serve.world import START_MS, Open, full_disk, log_of

USERS = [f"u{i}" for i in range(12)] + ["nobody knows"]


def requests(**more: Any) -> list[FeedRequest]:
    return [
        FeedRequest(
            request_id=f"r-{user}", user_id=user, n=5, time_ms=START_MS + 10**6, seed=zlib.crc32(user.encode()),
            deadline_ms=1e6, **more,
        )
        for user in USERS
    ]  # fmt: skip


def alone(engine: Engine, request: FeedRequest) -> list[str]:
    answer = engine.recommend(
        request.user_id, request.n, request_id=request.request_id, seed=request.seed, time_ms=request.time_ms,
        deadline_ms=request.deadline_ms, context=request.context,
    )  # fmt: skip
    return [item.item_id for item in answer.items]


def rows_of(engine: Engine, since: int) -> list[dict[str, Any]]:
    """What the log has got since, without the offset at which the features were made."""
    rows = log_of(engine).table.slice(since).to_pylist()
    for row in rows:
        row["payload"] = json.loads(row["payload"])
        row["payload"].pop("offset", None)
    return rows


def test_the_slates_and_exposures_are_those_of_recommend_with_arms_and_context(opened: Open) -> None:
    settings = {**defined(), "serve__context": ["device"]}
    one_by_one, at_once = opened(**settings), opened(**settings)
    for engine in (one_by_one, at_once):
        run(engine)
    since, asked = one_by_one.live.log.end, requests(context={"device": "phone", "mood": "good"})
    slates = [alone(one_by_one, request) for request in asked]
    runs = answer(at_once, asked)
    assert [at_once.state.items.ids(slate(r)) for r in runs] == slates
    assert rows_of(at_once, since) != []
    key = ["kind", "user_id", "item_id"]
    ordered = [sorted(rows_of(e, since), key=lambda row: [str(row[k]) for k in key]) for e in (one_by_one, at_once)]
    stripped = [[{k: v for k, v in row.items() if k != "time_ms"} for row in rows] for rows in ordered]
    assert stripped[0] == stripped[1]
    arms = {
        row["payload"]["experiments"]["spread"] for row in rows_of(at_once, since) if row["kind"] == Kind.IMPRESSION
    }
    assert arms == {"control", "varied"}


def test_all_are_answered_by_one_state_which_knows_the_exposures_afterwards(opened: Open) -> None:
    engine = opened()
    before = engine.state.offset
    runs = answer(engine, requests())
    assert {r.trace.offset for r in runs} == {before}
    assert engine.state.offset == before + sum(len(slate(r)) for r in runs) == engine.live.log.end


def test_nothing_is_logged_where_nothing_is_to_be(opened: Open) -> None:
    engine = opened()
    before = engine.live.log.end
    assert all(len(slate(r)) == 5 for r in answer(engine, requests(), expose=False))
    assert answer(engine, []) == []
    assert engine.live.log.end == before


def test_a_full_disk_is_said(opened: Open) -> None:
    engine = opened()
    with full_disk(engine), pytest.raises(LogError):
        answer(engine, requests())
