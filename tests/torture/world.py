"""A tiny shop whose log grows by feeds: what is shown, and what becomes of it, is known by the feed's number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from shown_worlds import SMALL_RANKER

START_MS, STEP_MS = 1_700_000_000_000, 20_000
N_USERS, N_ITEMS, PER_FEED = 30, 24, 5
TRAINED_FEEDS = 300
TOML = f"""{SMALL_RANKER}[serve]
expose = false
follow_s = 0.05
snapshot_s = 1
[samples.join]
windows = {{ click = 120, like = 300 }}
skew_s = 30
witnesses = 2
part_events = 1024
[retrieval.channels.popular]
[retrieval.channels.two_tower]
kind = "vector"
[train.two_tower]
epochs = 1
embedding_dim = 8
hidden_dims = [8]
[publish]
keep = 6
[publish.gate]
at_least = {{}}
at_most = {{}}
least = {{}}
most = {{}}
"""


def make(folder: Path) -> Workspace:
    """A workspace with items, people and the feeds that its first model learns from."""
    at = Workspace.create(folder, TOML)
    items = [
        {"time_ms": START_MS, "kind": Kind.ITEM, "item_id": f"i{k}", "payload": json.dumps({"topics": [f"t{k % 2}"]})}
        for k in range(N_ITEMS)
    ]
    people = [
        {"time_ms": START_MS, "kind": Kind.USER, "user_id": f"u{k}", "payload": json.dumps({"group": f"g{k % 2}"})}
        for k in range(N_USERS)
    ]
    log = open_log(at)
    log.append(EventBatch.rows([*items, *people]))
    log.append(batch([event for k in range(TRAINED_FEEDS) for event in feed("first", k)]))
    log.close()
    return at


def feed(writer: str, k: int, step: int | None = None) -> list[dict[str, Any]]:
    """Feed number k of a writer as the service takes events: impressions, and clicks and likes on some of them.

    Args:
        step: when it was shown, in ``STEP_MS``; None = k.
    """
    shown_ms = START_MS + (k if step is None else step) * STEP_MS
    random = rng(k, "feed", writer)
    user = int(random.integers(N_USERS))
    out = []
    for position, item in enumerate(random.choice(N_ITEMS, PER_FEED, replace=False).tolist()):
        said = ["impression"]
        if random.random() < (0.6 if item % 2 == user % 2 else 0.1):
            said += ["click", "like"] if random.random() < 0.3 else ["click"]
        if random.random() < 0.05:
            said.append("click")  # once more: a duplicate, or an impression nobody waited for
        for j, kind in enumerate(said):
            event = {"kind": kind, "user_id": f"u{user}", "item_id": f"i{item}", "position": position}
            event["time_ms"] = shown_ms + j * int(random.integers(1, 100_000))
            out.append({**event, "request_id": f"{writer}-{k}", "event_id": f"{writer}-{k}-{position}-{j}"})
    return out


def batch(events: list[dict[str, Any]]) -> EventBatch:
    """The same as rows of a log."""
    return EventBatch.rows([{**event, "kind": Kind[event["kind"].upper()]} for event in events])
