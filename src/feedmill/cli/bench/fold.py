"""The fold: events into state per second, against the same counting in Polars."""

from __future__ import annotations

import numpy as np

from feedmill.cli.bench.measure import timed
from feedmill.metrics.rows import BenchRow


def fold_rows(quick: bool) -> list[BenchRow]:
    """The default state on a synthetic log, and Polars counting clicks per item and hour as the peer."""
    import polars as pl

    from feedmill.core.batches import LANES
    from feedmill.core.events import EventBatch
    from feedmill.state import State

    n = 1_000_000 if quick else 5_000_000
    random = np.random.default_rng(0)
    columns = {
        "time_ms": np.sort(random.integers(0, 7 * 86_400_000, n)),
        "kind": random.choice(np.array([0, 0, 0, 1, 1, 2], np.int8), n),
        "user_id": random.integers(0, 100_000, n).astype("U"),
        "item_id": (random.zipf(1.2, n) % 50_000).astype("U"),
    }
    events = EventBatch.of({k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()})
    frame = pl.from_arrow(events.table)
    State().warm()
    ours, theirs = [], []
    for _ in range(3):
        ours += timed(1, lambda _: State().fold(events))
        theirs += timed(1, lambda _: _rolling(frame))
    mine, polars = float(np.median(ours)), float(np.median(theirs))
    what = f"fold: {len(State().count_names)} counters of 4 entities, {len(LANES)} histories, {n:,} events"
    row = BenchRow(
        what=what,
        metric="throughput",
        value=n / mine / 1e6,
        low=n / max(ours) / 1e6,
        high=n / min(ours) / 1e6,
        unit="M events/s, ids as text included",
        peer="Polars, one rolling 1 h count per item",
        ratio=polars / mine,
    )
    return [row]


def _rolling(frame: object) -> object:
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    timed_frame = frame.select(pl.from_epoch("time_ms", "ms").alias("t"), "item_id")
    return timed_frame.rolling(index_column="t", period="1h", group_by="item_id").agg(pl.len())
