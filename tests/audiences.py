"""Small audiences, and asks and views written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.events import EventBatch, Kind
from feedmill.sim.config import WorldConfig
from feedmill.sim.views import Asks, Slates, Views
from feedmill.sim.watch import Memory
from feedmill.sim.world import World

START_MS = WorldConfig().start_ms
SMALL: dict[str, Any] = {"n_users": 40, "n_videos": 60, "n_topics": 8, "new_users": 0.1, "video_days": 4.0}


def small_world(seed: int = 3, **config: Any) -> World:
    """40 people, 60 videos that live four days."""
    return World.make(WorldConfig(**SMALL | config), seed)


def asks(user: Sequence[int], time_s: Sequence[float] = (), page: Sequence[int] = ()) -> Asks:
    """People who ask, seconds after the first midnight."""
    n = len(user)
    at_ms = START_MS + (1000 * np.array(time_s or range(n), np.float64)).astype(np.int64)
    return Asks(np.array(user, np.int32), at_ms, np.array(page or [0] * n, np.int32))


def slates(*rows: Sequence[int]) -> Slates:
    """One for each ask, all of the same width."""
    return Slates(np.array(rows, np.int32).reshape(len(rows), -1))


def views(rows: Sequence[tuple[int, int, int, float]], reactions: Sequence[int] = ()) -> Views:
    """(ask, user, item, seconds) of each; a second apart from the first midnight on, in slots counted by ask."""
    ask, user, item, seconds = (list(x) for x in zip(*rows, strict=True)) if rows else ([], [], [], [])
    position = [ask[:k].count(ask[k]) for k in range(len(ask))]
    columns = [np.array(x, np.int32) for x in (ask, user, item, position)]
    time_ms = START_MS + 1000 * np.arange(len(ask), dtype=np.int64)
    said = np.array(reactions or [0] * len(ask), np.uint8)
    return Views(columns[0], columns[1], columns[2], columns[3], time_ms, np.array(seconds, np.float32), said)


def items(ids: Sequence[str], payloads: Sequence[str] = ()) -> EventBatch:
    """ITEM events."""
    said = list(payloads) or ["{}"] * len(ids)
    return EventBatch.of({"kind": int(Kind.ITEM), "time_ms": START_MS, "item_id": list(ids), "payload": said})


def has_seen(memory: Memory, user: NDArray[np.integer], item: NDArray[np.integer]) -> NDArray[np.bool_]:
    """bool[n] of n pairs."""
    bits = memory.seen[user, item >> 3] >> (item & 7).astype(np.uint8) & 1
    return np.asarray(bits > 0)
