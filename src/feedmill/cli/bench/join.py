"""The joiner: events per second in memory and from the durable log, memory over a long log, beside a dict in Python."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from feedmill.core.progress import progress
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.core.events import EventBatch
    from feedmill.samples.joiner import JoinConfig

_FEED, _CHUNK, _STEP_S = 10, 65_536, 10  # impressions of a feed; events of an append; seconds of a batch
_RATE = 400  # feeds per second of the log: 4,000 impressions, about 6,000 events
_WINDOWS = {"click": 10.0, "like": 20.0, "watch": 40.0}
_SKEW_S = 10.0


def join_rows(quick: bool) -> list[BenchRow]:
    """A synthetic log of feeds of ten with clicks, likes and growing watches; about 200,000 impressions wait."""
    n = 1_000_000 if quick else 10_000_000
    return [*_memory(n), *against_a_dict(n * 3 // 5 if quick else n // 5), *durable(n * 3 // 5 if quick else n // 5)]


def chunks(n: int, seed: int = 0) -> Iterator[EventBatch]:
    """About n events in log order, made as they are asked for, so that the log itself takes no memory."""
    from feedmill.core.clock import rng

    made, second, waiting = 0, 0, _Waiting()
    random = rng(seed, "log of the join bench")
    while made < n:
        batch = waiting.step(second, _STEP_S, random)
        second += _STEP_S
        made += len(batch)
        yield batch


class _Waiting:
    """Feedback that is to come after impressions already in the log."""

    def __init__(self) -> None:
        self._held: tuple[Any, ...] | None = None

    def step(self, second: int, seconds: int, random: np.random.Generator) -> EventBatch:
        """The events of some seconds of the log."""
        import pyarrow as pa

        from feedmill.core.events import EventBatch, Kind

        n = seconds * _RATE * _FEED
        feed = second * _RATE + np.arange(n) // _FEED
        shown_ms = 1_700_000_000_000 + feed * 1000 // _RATE
        columns = [(shown_ms, np.zeros(n, np.int8), feed, np.arange(n) % _FEED, np.ones(n, np.float32))]
        for kind, share, mean_s in (
            (Kind.CLICK, 0.2, 3),
            (Kind.LIKE, 0.03, 6),
            (Kind.WATCH, 0.15, 8),
            (Kind.WATCH, 0.1, 12),
        ):
            of = np.flatnonzero(random.random(n) < share)
            late = (random.exponential(mean_s * 1000, len(of))).astype(np.int64)
            value = (late / 1000).astype(np.float32)
            columns.append((shown_ms[of] + late, np.full(len(of), kind, np.int8), feed[of], of % _FEED, value))
        held = [self._held] if self._held else []
        time_ms, kinds, feeds, place, values = (np.concatenate(c) for c in zip(*held, *columns, strict=True))
        order = np.argsort(time_ms, kind="stable")
        upto = int(np.searchsorted(time_ms[order], 1_700_000_000_000 + (second + seconds) * 1000))
        now, later = order[:upto], order[upto:]
        self._held = tuple(c[later] for c in (time_ms, kinds, feeds, place, values))
        feeds = feeds[now]
        text = pa.array(feeds)
        payload = np.where(kinds[now] == 0, feeds, -1)
        snapshot = pa.compute.binary_join_element_wise('{"version":"20261122-0f3a","offset":', _text(payload), "}", "")
        return EventBatch.of(
            {
                "time_ms": time_ms[now],
                "kind": kinds[now],
                "value": values[now],
                "user_id": _text(feeds % 100_003),
                "item_id": _text(feeds * 7919 % 50_021 * _FEED + place[now]),
                "request_id": pa.compute.binary_join_element_wise("0193-7e1a-", text.cast(pa.string()), ""),
                "position": place[now].astype(np.int16),
                "payload": pa.compute.if_else(pa.array(payload >= 0), snapshot, ""),
            }
        )


def _text(numbers: Any) -> Any:
    import pyarrow as pa

    return pa.array(numbers).cast(pa.string())


def config() -> JoinConfig:
    """Short windows, so that a log of a million events fills them many times."""
    from feedmill.samples.joiner import JoinConfig

    return JoinConfig(windows=_WINDOWS, skew_s=_SKEW_S, early_s=10.0)


def _memory(n: int) -> list[BenchRow]:
    """Throughput of the joiner alone, and what the process grows by once its windows are full."""
    from feedmill.samples.joiner import Joiner

    joiner, seconds, warm, rates = Joiner(config()), 0.0, 0, []
    n_samples = n_warm = 0
    with progress("joining in memory", n) as advance:
        for step, events in enumerate(chunks(n)):
            start = perf_counter()
            n_samples += joiner.feed(events, joiner.offset).samples.num_rows
            rates.append(len(events) / (perf_counter() - start))
            seconds += len(events) / rates[-1]
            advance(len(events))
            if not warm and joiner.offset >= 0.3 * n and _STEP_S * step > 2 * (max(_WINDOWS.values()) + _SKEW_S):
                warm, n_warm = _rss(), joiner.offset
    counts = joiner.counts
    assert not counts.uneven(), counts.uneven()
    low, high = np.percentile(np.array(rates) / 1e3, [25, 75])
    what = f"join: {joiner.offset:,} events in memory, {joiner.waiting:,} impressions waiting, {n_samples:,} rows out"
    speed = BenchRow(
        what=what,
        metric="throughput",
        value=joiner.offset / seconds / 1e3,
        low=float(low),
        high=float(high),
        unit="k events/s, one core; p25 and p75 of batches of 10 s",
    )
    growth = BenchRow(
        what=f"join: from event {n_warm:,} to {joiner.offset:,}",
        metric="memory grown",
        value=(_rss() - warm) / 2**20,
        unit=f"MB, of {_rss() / 2**20:,.0f} MB resident",
    )
    return [speed, growth]


def _rss() -> int:
    """Bytes of this process that are in memory now; where the system does not say, the most there ever were."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def against_a_dict(n: int) -> list[BenchRow]:
    """The joiner and a dict, one after the other, on the same batches."""
    from feedmill.samples.joiner import Joiner

    batches = list(chunks(n))
    joiner, mine = Joiner(config()), 0.0
    with progress("joining, and a dict in Python") as _:
        start = perf_counter()
        for events in batches:
            joiner.feed(events, joiner.offset)
        mine = perf_counter() - start
        start = perf_counter()
        n_rows = _dict_joined(batches)
        theirs = perf_counter() - start
    row = BenchRow(
        what=f"join: {joiner.offset:,} events, beside a dict",
        metric="throughput",
        value=joiner.offset / mine / 1e3,
        unit=f"k events/s; the dict {joiner.offset / theirs / 1e3:,.0f} k, {n_rows:,} rows",
        peer="a dict and a deque in Python, from the same batches to rows of the last window",
        ratio=theirs / mine,
    )
    return [row]


def _dict_joined(batches: list[EventBatch]) -> int:
    """The least that a joiner in plain Python must do: no clock but the newest, one window, no side output."""
    window_ms = round(1000 * (max(_WINDOWS.values()) + _SKEW_S))
    waiting: dict[tuple[str, str], list[Any]] = {}
    queue: deque[tuple[str, str]] = deque()
    out: list[list[Any]] = []
    names = ("kind", "time_ms", "value", "user_id", "request_id", "item_id", "position", "payload")
    for events in batches:
        columns = [events.table.column(name).to_pylist() for name in names]
        for kind, time_ms, value, user, request, item, position, payload in zip(*columns, strict=True):
            key = (request, item)
            if kind == 0:
                waiting[key] = [time_ms, user, request, item, position, payload, 0, 0, 0.0]
                queue.append(key)
                while waiting[queue[0]][0] <= time_ms - window_ms:
                    out.append(waiting.pop(queue.popleft()))
            elif entry := waiting.get(key):
                delay = time_ms - entry[0]
                if kind == 1 and delay <= 10_000:
                    entry[6] = 1
                elif kind == 2 and delay <= 20_000:
                    entry[7] = 1
                elif kind == 7 and delay <= 40_000:
                    entry[8] = max(entry[8], value)
    return len(out)


def durable(n: int) -> list[BenchRow]:
    """``feedmill join`` as it runs: the log on disk, Parquet and checkpoints written and synced."""
    import tempfile

    from feedmill.core.workspace import Workspace
    from feedmill.log.sqlite import SqliteLog
    from feedmill.samples.joiner.run import run

    windows = ", ".join(f"{k} = {w}" for k, w in _WINDOWS.items())
    toml = f"[samples.join]\nwindows = {{ {windows} }}\nskew_s = {_SKEW_S}\nearly_s = 10\n"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        at = Workspace.create(Path(folder) / "bench", toml)
        log = SqliteLog(at.log)
        with progress("writing the log", n) as advance:
            for events in chunks(n):
                for first in range(0, len(events), _CHUNK):
                    log.append(events[first : first + _CHUNK])
                advance(len(events))
        log.close()
        start = perf_counter()
        ran = run(at)
        seconds = perf_counter() - start
    row = BenchRow(
        what=f"join: {ran.offset:,} events from SQLite to Parquet with checkpoints",
        metric="throughput",
        value=ran.offset / seconds / 1e3,
        unit="k events/s, durable",
    )
    return [row]
