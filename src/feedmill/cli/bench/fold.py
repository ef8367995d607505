"""The fold: events into state per second, against the same counting in Polars, and what each further counter costs."""

from __future__ import annotations

import numpy as np

from feedmill.cli.bench.measure import timed
from feedmill.metrics.rows import BenchRow

MORE = ("impression", "click", "like")  # each with the windows that the default does not count them over
WINDOWS = ("1h", "2h", "6h", "12h", "3d", "14d", "60d", "90d")


def fold_rows(quick: bool) -> list[BenchRow]:
    """The default state on a synthetic log, and Polars counting clicks per item and hour as the peer."""
    import polars as pl

    from feedmill.core.batches import LANES
    from feedmill.core.events import EventBatch
    from feedmill.state import State, StateConfig

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
    default = StateConfig()
    seconds = default.windows | {w: float(w[:-1]) * (3600 if w[-1] == "h" else 86_400) for w in WINDOWS}
    added = tuple(f"{kind}.{window}" for kind in MORE for window in WINDOWS)
    wide = StateConfig(windows=seconds, counts=(*default.counts, *added))
    ours, wider, theirs = [], [], []
    for _ in range(3):
        ours += timed(1, lambda _: State().fold(events))
        wider += timed(1, lambda _: State(wide).fold(events))
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
    each = [(b - a) / n / len(added) * 1e9 for a, b in zip(sorted(ours), sorted(wider), strict=True)]
    counters = BenchRow(
        what=f"{what}; {len(added)} counters more",
        metric="cost of a counter",
        value=float(np.median(each)),
        low=min(each),
        high=max(each),
        unit="ns an event",
    )
    return [row, counters]


def _rolling(frame: object) -> object:
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    timed_frame = frame.select(pl.from_epoch("time_ms", "ms").alias("t"), "item_id")
    return timed_frame.rolling(index_column="t", period="1h", group_by="item_id").agg(pl.len())
