"""What a request says of its user: read by the models at once, and by training as of the impressions."""

from __future__ import annotations

import json

import numpy as np

from feedmill.core.batches import ProbeBatch
from feedmill.core.events import EventBatch, Kind
from feedmill.log.whole import read_all
from feedmill.serve.engine import Engine
from feedmill.state import State
from serve.world import Open


def written(engine: Engine, since: int) -> EventBatch:
    engine.follow()
    return read_all(engine.live.log)[since:]


def test_what_is_new_is_logged_before_what_was_shown_and_once(opened: Open) -> None:
    engine = opened(serve__context=["device", "network"])
    start = engine.live.log.end
    asked = {"device": "phone", "network": "wifi", "page": "home"}
    for context in (asked, asked, {"device": "tablet"}, {}):
        engine.recommend("u1", n=2, context=context)
    log = written(engine, start)
    kinds = log.numpy("kind").tolist()
    shown, user = [int(Kind.IMPRESSION)] * 2, int(Kind.USER)
    assert kinds == [user, *shown, *shown, user, *shown, *shown]
    payloads = [json.loads(p) for p, k in zip(log.table.column("payload").to_pylist(), kinds, strict=True) if k == user]
    assert payloads == [{"device": "phone", "network": "wifi"}, {"device": "tablet"}]


def test_training_reads_what_serving_read(opened: Open) -> None:
    engine = opened(serve__context=["device"])
    for device in ("phone", "tablet", "phone"):
        start = engine.live.log.end
        engine.recommend("u1", n=2, context={"device": device})
        engine.follow()
    served = engine.state.view("u1", 0, {"device": "phone"})
    log = read_all(engine.live.log)
    first = start + int(np.flatnonzero(log[start:].numpy("kind") == Kind.IMPRESSION)[0])
    state = State(engine.state.config)
    state.register(log)
    none = np.zeros(0, np.int32)
    at = ProbeBatch(state.users.rows(["u1"]), np.array([0]), np.array([first]), none, none)
    trained = state.fold(log, at)
    assert trained is not None
    codes = state.catalogue.user_attributes.index("device")
    assert trained.users.profile[0, codes] == served.profile[0, codes] > 0
    assert state.catalogue.values("device", "user")[int(served.profile[0, codes])] == "phone"


def test_without_names_a_context_is_nobodys_business(opened: Open) -> None:
    engine = opened()
    start = engine.live.log.end
    engine.recommend("a stranger", n=1, context={"device": "phone"})
    assert written(engine, start).numpy("kind").tolist() == [int(Kind.IMPRESSION)]
