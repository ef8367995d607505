"""From an acknowledged like to its effect, through HTTP: a feed without the item, and another user vector.

Both go one way: the service folds the like into the state before it acknowledges it, and computes the user vector of
each feed from the histories in that state. So the wait is for the next feed, and learning has no part in it; when
weights follow is for the schedule to say (``[samples.join] windows`` and ``[run] incremental_s``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import httpx

from feedmill.cli.bench.freshness.world import Drift, World
from feedmill.cli.bench.measure import timing
from feedmill.cli.bench.serving import service
from feedmill.cli.learn import train
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.progress import progress
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.metrics.rows import BenchRow

TOWER, PATIENCE_S = "two_tower", 30.0
SMALL = Drift(n_users=200, n_items=120, n_requests=2000)  # every item has been clicked, so that each has a vector
TOML = """
[serve]
clock = "log"
expose = false            # what changes is then the like's doing alone
[retrieval.channels.popular]
[retrieval.channels.two_tower]
kind = "vector"
[train.two_tower]
epochs = 2
embedding_dim = 16
hidden_dims = [32]
[train.two_tower.features]
numbers = "none"          # decayed counts and the hour would move the vector without an event
context = false
[rank]
kind = "dnn"
embedding_dim = 8
hidden_dims = [16]
epochs = 1
[evaluate]
split = "none"
"""


class Effect(NamedTuple):
    """Seconds: until the like was acknowledged, and from then until its effects were seen."""

    acknowledged: float
    feed: float
    vector: float


class Feed(NamedTuple):
    """Item ids in order, and what the tower said of those that it brought."""

    items: list[str]
    by_tower: Mapping[str, float]


def loop_rows(quick: bool) -> list[BenchRow]:
    """p50 and p99 over likes of different users, one after the other, on one connection."""
    n = 30 if quick else 500
    with tempfile.TemporaryDirectory() as folder:
        at = small_world(Path(folder) / "shop", SMALL)
        with service(at.path) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            for k in range(20):
                ask(client, f"u{k}")
            with progress("likes", n) as advance:
                effects = []
                for k in range(n):
                    effects.append(like(client, f"u{k * 7 % SMALL.n_users}"))
                    advance(1)
    columns = {
        "POST /v1/events, one like, durable": [e.acknowledged for e in effects],
        "acknowledged like -> a feed without the item (aim: p99 under 200 ms)": [e.feed for e in effects],
        f"acknowledged like -> a feed by another user vector of {TOWER} (aim: p99 under 5,000 ms)": [
            e.vector for e in effects
        ],
    }
    return [timing(what, metric, seconds) for what, seconds in columns.items() for metric in ("p50", "p99")]


def small_world(folder: Path, drift: Drift) -> Workspace:
    """A workspace with a day of a synthetic log, every third click of which became a like, and a model of it."""
    at = Workspace.create(folder, TOML)
    events = World(drift, seed=0).next_day().events
    clicks = events.table.filter(events.numpy("kind") == Kind.CLICK)
    liked = clicks.take(list(range(0, clicks.num_rows, 3)))
    likes = {name: liked.column(name) for name in ("time_ms", "user_id", "item_id", "request_id")}
    everything = EventBatch.concat([events, EventBatch.of({**likes, "kind": int(Kind.LIKE)})])
    log = open_log(at)
    log.append(EventBatch(everything.table.sort_by("time_ms")))
    log.close()
    train(folder)
    return at


def ask(client: httpx.Client, user: str) -> Feed:
    """A feed."""
    answer = client.post("/v1/feed", json={"user_id": user, "n": 20})
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return Feed(
        [item["item_id"] for item in items],
        {item["item_id"]: item["channels"][TOWER] for item in items if TOWER in item["channels"]},
    )


def like(client: httpx.Client, user: str) -> Effect:
    """Like the first item of a user's feed, and ask until the like shows.

    Raises:
        DataError: the tower says something else without an event, or the like never shows.
    """
    before, again = ask(client, user), ask(client, user)
    if is_moved(before, again):
        raise DataError(f"the user vector of {user} moved without an event", "one that only events move")
    item, start = before.items[0], perf_counter()
    client.post("/v1/events", json={"kind": "like", "user_id": user, "item_id": item}).raise_for_status()
    acknowledged = perf_counter()
    feed_s = vector_s = 0.0
    while not (feed_s and vector_s):
        now = ask(client, user)
        passed = perf_counter() - acknowledged
        if passed > PATIENCE_S:
            raise DataError(f"a like of {user} did not show in {PATIENCE_S:g} s", "another feed, by another vector")
        if not feed_s and item not in now.items:
            feed_s = passed
        if not vector_s and is_moved(before, now):
            vector_s = passed
    return Effect(acknowledged - start, feed_s, vector_s)


def is_moved(before: Feed, now: Feed) -> bool:
    """Whether the tower scores an item otherwise: item vectors stand still, so it is the user's that moved."""
    return any(now.by_tower[item] != score for item, score in before.by_tower.items() if item in now.by_tower)
