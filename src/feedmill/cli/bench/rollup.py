"""The tables behind business metrics: events per second, keeping up against starting over, and DuckDB beside it."""

from __future__ import annotations

import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from feedmill.cli import show
from feedmill.cli.bench.measure import timed
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import Tried
from feedmill.metrics.rows import BenchRow

SLATE, N_DAYS, N_ITEMS, N_EXPERIMENTS = 10, 28, 20_000, 3
DAY_MS = 86_400_000
START_MS = 1_700_006_400_000
_ACTS = (Kind.CLICK, Kind.WATCH, Kind.WATCH, Kind.LIKE, Kind.FINISH)  # after each feed
_PEER = """
select user_id, cast(timezone('Asia/Shanghai', to_timestamp(time_ms / 1000)) as date) as day,
    count(*) filter (kind = 0), count(*) filter (kind = 1), count(*) filter (kind = 2),
    count(*) filter (kind = 7), count(*) filter (kind = 8), sum(value) filter (kind = 7)
from events where kind <= 10 and user_id <> '' group by all
"""


def rollup_rows(quick: bool) -> list[BenchRow]:
    """Medians of three runs over a generated log in memory, items described, every impression in 3 experiments."""
    log = MemoryLog()
    events = generated(100_000 if quick else 1_000_000)
    log.append(events)
    before = log.end - log.end // 100
    with tempfile.TemporaryDirectory(dir=".") as folder:
        whole = timed(3, lambda i: Rollup(Path(folder) / f"whole-{i}", "Asia/Shanghai").update(log))
        for i in range(3):
            Rollup(Path(folder) / f"most-{i}", "Asia/Shanghai").update(log, upto=before)
        last = timed(3, lambda i: Rollup(Path(folder) / f"most-{i}", "Asia/Shanghai").update(log))
        reading = timed(3, lambda i: Tried(Rollup(Path(folder) / f"whole-{i}", "Asia/Shanghai"), "e0"))
    what, n = f"rollup: {log.end:,} events, {N_EXPERIMENTS} experiments", log.end
    rows = [
        _row(what, "throughput", [n / s / 1e6 for s in whole], "M events/s, all tables, written"),
        _row(what, "the last 1 %", [s * 1e3 for s in last], "ms", "all of it anew", _median(last) / _median(whole)),
        _row(what, "an experiment, every measure", [s * 1e3 for s in reading], "ms to read"),
    ]
    return [*rows, *_duckdb(events, _median(whole), what)]


def generated(n: int, seed: int = 0) -> EventBatch:
    """Items, then feeds of ten with what users did: about n events in order of time."""
    random = rng(seed, "bench", "rollup")
    feeds = n // (SLATE + len(_ACTS))
    user = random.integers(0, max(1, n // 100), feeds)
    time_ms = START_MS + np.sort(random.integers(0, N_DAYS * DAY_MS, feeds))
    size = SLATE + len(_ACTS)
    kinds = np.tile(np.array([Kind.IMPRESSION] * SLATE + list(_ACTS), np.int8), feeds)
    shown = np.minimum(random.zipf(1.3, feeds * size), N_ITEMS)
    is_shown = kinds == Kind.IMPRESSION
    payloads = [_payload(int(u), k) for k, u in enumerate(user)]
    columns: dict[str, Any] = {
        "time_ms": np.repeat(time_ms, size),
        "kind": kinds,
        "user_id": [f"u{u}" for u in np.repeat(user, size)],
        "item_id": [f"i{i}" for i in shown],
        "value": np.where(kinds == Kind.WATCH, random.integers(1, 60, feeds * size), 1).astype(np.float32),
        "request_id": [f"r{k // size}" if yes else "" for k, yes in enumerate(is_shown)],
        "payload": [payloads[k // size] if yes else "" for k, yes in enumerate(is_shown)],
    }
    return EventBatch.concat([_items(random), EventBatch.of(columns)])


def _payload(user: int, k: int) -> str:
    arms = {f"e{x}": ("control", "treated")[user >> x & 1] for x in range(N_EXPERIMENTS)}
    return json.dumps({"version": "v1", "offset": k * (SLATE + len(_ACTS)), "experiments": arms})


def _items(random: np.random.Generator) -> EventBatch:
    seconds = random.integers(5, 600, N_ITEMS)
    payloads = [
        json.dumps({"author_id": f"u{k % 997}", "topics": [f"t{k % 30}"], "duration_s": int(s), "publish_ms": START_MS})
        for k, s in enumerate(seconds)
    ]
    ids = [f"i{k + 1}" for k in range(N_ITEMS)]
    return EventBatch.of({"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": ids, "payload": payloads})


def _row(
    what: str, metric: str, values: list[float], unit: str, peer: str = "", ratio: float | None = None
) -> BenchRow:
    low, high = min(values), max(values)
    unit = f"{unit}, {len(values)} runs, low and high the extremes"
    return BenchRow(
        what=what, metric=metric, value=_median(values), low=low, high=high, unit=unit, peer=peer, ratio=ratio
    )


def _duckdb(events: EventBatch, ours_s: float, what: str) -> list[BenchRow]:
    """Seven of the columns of one of the tables, in SQL; nothing where it is not installed."""
    try:
        duckdb: Any = import_module("duckdb")  # in no extra: it measures if it is there
    except ModuleNotFoundError:
        show.out.print("[dim]DuckDB is not installed: not compared[/]")
        return []
    import pyarrow as pa

    connection = duckdb.connect()
    connection.register("events", pa.Table.from_batches([events.table]))
    seconds = timed(3, lambda _: connection.sql(_PEER).to_arrow_table())
    connection.close()
    peer = "DuckDB: 7 columns of the one table days, in memory, not written"
    return [_row(what, "all tables", [ours_s], "s", peer, ours_s / _median(seconds))]


def _median(values: list[float]) -> float:
    return float(np.median(values))
