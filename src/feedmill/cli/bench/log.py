"""The embedded log: durable appends and reads, against plain SQLite rows."""

from __future__ import annotations

from pathlib import Path

from feedmill.cli.bench.measure import timed, timing
from feedmill.metrics.rows import BenchRow


def log_rows(quick: bool) -> list[BenchRow]:
    """SqliteLog in a temporary folder; the peer is one SQLite row per event with a commit per batch."""
    import sqlite3
    import tempfile

    from feedmill.core.events import EventBatch
    from feedmill.log.sqlite import SqliteLog

    n, size = (100_000, 10_000) if quick else (1_000_000, 65_536)
    rows = [{"time_ms": i, "kind": 1, "user_id": f"u{i % 9973}", "item_id": f"i{i % 997}"} for i in range(n)]
    events = EventBatch.rows(rows)
    single = EventBatch.rows(rows[:1])
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ours_log = SqliteLog(Path(folder) / "log.sqlite")
        ours = timed(1, lambda _: [ours_log.append(events[at : at + size]) for at in range(0, n, size)])[0]
        singles = timed(100 if quick else 500, lambda _: ours_log.append(single))
        reading = timed(1, lambda _: _read(ours_log))[0]
        ours_log.close()
        plain = sqlite3.connect(Path(folder) / "plain.sqlite")
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        plain.execute("CREATE TABLE e (time_ms INTEGER, kind INTEGER, user_id TEXT, item_id TEXT)")
        theirs = timed(1, lambda _: _rows(plain, rows, size))[0]
        plain.close()
    append = BenchRow(
        what=f"log: append in batches of {size:,}",
        metric="throughput",
        value=n / ours / 1e3,
        unit="k events/s, durable",
        peer="SQLite, a row per event",
        ratio=theirs / ours,
    )
    read = BenchRow(
        what="log: read",
        metric="throughput",
        value=n / reading / 1e3,
        unit="k events/s",
    )
    return [append, read, *(timing("log: append one event, durable", m, singles) for m in ("p50", "p99"))]


def _read(log: object) -> None:
    offset, end = 0, log.end  # type: ignore[attr-defined]
    while offset < end:
        _, offset = log.read(offset)  # type: ignore[attr-defined]


def _rows(plain: object, rows: list[dict[str, object]], size: int) -> None:
    for at in range(0, len(rows), size):
        part = [tuple(r.values()) for r in rows[at : at + size]]
        plain.executemany("INSERT INTO e VALUES (?, ?, ?, ?)", part)  # type: ignore[attr-defined]
        plain.commit()  # type: ignore[attr-defined]
