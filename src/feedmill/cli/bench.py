"""``feedmill bench``: figures with where and how they were measured; every one takes --quick and --json."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import Dir, Json
from feedmill.core.errors import WorkspaceError
from feedmill.metrics.rows import BenchRow, machine, versions, write

bench_app = typer.Typer(no_args_is_help=False, invoke_without_command=True, help="Measure on this machine.")
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the work.")]
DEMO = Path("demo")


@bench_app.callback()
def everything(ctx: typer.Context, quick: Quick = False, json: Json = None, folder: Dir = DEMO) -> None:
    """Without a name: all of them."""
    if ctx.invoked_subcommand is None:
        done([*serving_rows(folder, quick), *fold_rows(quick), *log_rows(quick)], json)


@bench_app.command()
def serving(quick: Quick = False, json: Json = None, folder: Dir = DEMO) -> None:
    """POST /v1/feed through HTTP, and how soon an acknowledged event shows in the next feed."""
    done(serving_rows(folder, quick), json)


@bench_app.command()
def fold(quick: Quick = False, json: Json = None) -> None:
    """Events folded into state per second, against the same counters in Polars."""
    done(fold_rows(quick), json)


@bench_app.command()
def log(quick: Quick = False, json: Json = None) -> None:
    """Durable appends: one event at a time, and in batches, against plain SQLite rows."""
    done(log_rows(quick), json)


def done(rows: list[BenchRow], json: Path | None) -> None:
    """Print, and write where asked."""
    table = Table("what", "metric", "value", "p25..p75", "unit", "peer", "ratio", box=None, header_style="bold")
    for r in rows:
        spread = f"{r.low:.3g} .. {r.high:.3g}" if r.low is not None else ""
        ratio = f"{r.ratio:.2f}" if r.ratio is not None else ""
        table.add_row(r.what, r.metric, f"{r.value:,.3f}", spread, r.unit, r.peer, ratio)
    show.out.print(f"[dim]{machine()}; " + ", ".join(f"{k} {v}" for k, v in versions().items()) + "[/]")
    show.out.print(table)
    if json is not None:
        write(rows, json)


def timing(what: str, metric: str, seconds: list[float], unit: str = "ms", scale: float = 1e3) -> BenchRow:
    """Quantiles of repeated timings: ``metric`` "p50" or "p99"."""
    q = {"p50": 50, "p99": 99}[metric]
    values = np.asarray(seconds) * scale
    return BenchRow(
        what=what,
        metric=metric,
        value=float(np.percentile(values, q)),
        low=float(np.percentile(values, 25)),
        high=float(np.percentile(values, 75)),
        unit=f"{unit}, n = {len(values)}",
    )


def timed(n: int, verb: Callable[[int], object]) -> list[float]:
    """Seconds of each of n calls."""
    out = []
    for i in range(n):
        start = time.perf_counter()
        verb(i)
        out.append(time.perf_counter() - start)
    return out


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """The workspace's service in a process of its own, on a free port; yields its address."""
    if not (folder / "feedmill.toml").exists():
        raise WorkspaceError(f"no workspace in {folder}", "a trained one", "run `feedmill demo --no-stay` first")
    command = [sys.executable, "-m", "feedmill", "serve", "--dir", str(folder), "-s", "serve.port=0"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                yield line[line.index("http://") :].split()[0]
                break
        else:
            raise WorkspaceError("the service did not start", "its address", f"run `{' '.join(command[1:])}`")
    finally:
        process.terminate()
        process.wait(30)


def serving_rows(folder: Path, quick: bool) -> list[BenchRow]:
    """One connection, one request after the other, users in turn; exposures are logged durably."""
    n = 300 if quick else 3000
    with service(folder) as url, httpx.Client(base_url=url, timeout=30) as client:
        users = [str(u) for u in range(1, 944)]

        def ask(i: int) -> bytes:
            answer = client.post("/v1/feed", json={"user_id": users[i * 7 % len(users)], "n": 10})
            answer.raise_for_status()
            return answer.content

        def shown(user: str) -> list[str]:
            feed = client.post("/v1/feed", json={"user_id": user, "n": 10}).json()
            return [x["item_id"] for x in feed["items"]]

        def act(i: int) -> None:
            """Click the first item; the next feed must not have it."""
            user = users[i * 11 % len(users)]
            item = shown(user)[0]
            start = time.perf_counter()
            client.post("/v1/events", json={"kind": "click", "user_id": user, "item_id": item}).raise_for_status()
            acknowledged.append(time.perf_counter() - start)
            start = time.perf_counter()
            while item in [
                x["item_id"] for x in client.post("/v1/feed", json={"user_id": user, "n": 10}).json()["items"]
            ]:
                continue
            visible.append(time.perf_counter() - start)

        acknowledged: list[float] = []
        visible: list[float] = []
        timed(50, ask)
        feeds = timed(n, ask)
        timed(n // 10, act)
    rows = [timing("POST /v1/feed, 10 items", m, feeds) for m in ("p50", "p99")]
    rows += [timing("POST /v1/events, one click, durable", m, acknowledged) for m in ("p50", "p99")]
    return rows + [timing("acknowledged click -> a feed without the item", m, visible) for m in ("p50", "p99")]


def fold_rows(quick: bool) -> list[BenchRow]:
    """The default state on a synthetic log, and Polars counting clicks per item and hour as the peer."""
    import polars as pl

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
    what = f"fold: {len(State().count_names)} counters of 4 entities, 4 histories, {n:,} events"
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
