"""A small world with two tastes: its log, its config, and an artifact counted from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedResponse
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.publish import promote, write
from feedmill.retrieval import CHANNELS
from feedmill.samples.interactions import InterestConfig, interactions
from feedmill.serve.engine import Engine
from feedmill.state import State

N_USERS, N_ITEMS = 40, 60
START_MS = 1_700_000_000_000
CONFIG = """
[serve]
clock = "log"
port = 0
follow_s = 0.05
deadline_ms = 10_000
[retrieval.channels.popular]
limit = 30
[retrieval.channels.itemcf]
limit = 40
[rank]
kind = "none"
[[rerank.rules]]
kind = "mmr"
theta = 0.8
"""

Make = Callable[..., Workspace]
Open = Callable[..., Engine]


def world() -> EventBatch:
    """Items with titles and topics; even users click even items, odd users odd ones, 12 each."""
    described = {
        "kind": int(Kind.ITEM),
        "item_id": [f"i{i}" for i in range(N_ITEMS)],
        "payload": [f'{{"title": "Item {i}", "topics": ["t{i % 2}"]}}' for i in range(N_ITEMS)],
        "time_ms": START_MS,
    }
    draw = rng(1, "world")
    users = np.repeat(np.arange(N_USERS), 12)
    items = np.concatenate([2 * draw.permutation(N_ITEMS // 2)[:12] + u % 2 for u in range(N_USERS)])
    order = draw.permutation(len(users))
    clicks = {
        "kind": int(Kind.CLICK),
        "user_id": [f"u{u}" for u in users[order]],
        "item_id": [f"i{i}" for i in items[order]],
        "time_ms": START_MS + 1000 * np.arange(1, len(users) + 1),
    }
    return EventBatch.concat([EventBatch.of(described), EventBatch.of(clicks)])


def train(workspace: Workspace) -> str:
    """Build the counting channels from the log, publish, promote; the version."""
    log = SqliteLog(workspace.log)
    events, _ = log.read(0, 1_000_000)
    log.close()
    state = State()
    state.fold(events)
    counted = interactions(events, state, InterestConfig())
    parts = {
        c.name: c.cls.build(counted, None, c.config, 0)
        for c in workspace.components("retrieval.channels", CHANNELS, own=["limit"])
    }
    version = write(workspace.artifacts, parts, about(state))
    promote(workspace.artifacts, version)
    return version


def about(state: State) -> dict[str, Any]:
    """What an artifact says of the ids it knows."""
    return {
        "n_users": len(state.users),
        "n_items": len(state.items),
        "users_digest": state.users.digest(len(state.users)),
        "items_digest": state.items.digest(len(state.items)),
    }


def ids(answer: FeedResponse) -> list[str]:
    return [i.item_id for i in answer.items]


def seen_by(engine: Engine, user_id: str) -> set[str]:
    return set(engine.state.items.ids(engine.state.seen(engine.state.users.row(user_id))))


def click(user_id: str, item_id: str, **more: Any) -> EventBatch:
    columns = {"kind": int(Kind.CLICK), "user_id": user_id, "item_id": item_id, "time_ms": START_MS + 10**6}
    return EventBatch.of(columns | more)


def log_of(engine: Engine) -> EventBatch:
    return engine.live.log.read(0, 10**6)[0]


@contextmanager
def full_disk(engine: Engine) -> Iterator[None]:
    """The log's file may not grow: SQLite then fails as it does on a full disk."""
    writer: sqlite3.Connection = engine.live.log._writer  # type: ignore[attr-defined]
    writer.execute("vacuum")
    writer.execute("pragma max_page_count = 1")  # the smallest that is allowed is the file as it is
    with suppress(LogError):
        while True:  # room is left in the last page
            engine.append(click("filler", "i0"))
    yield
    writer.execute("pragma max_page_count = 1000000000")
