"""The joiner in plain Python: one dict, one event at a time, no kernel. What the compiled one must agree with.

It also draws the logs that both are tried on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from feedmill.core.events import EventBatch, Kind
from feedmill.samples.joiner import JoinConfig

BASE_MS = 1_600_000_000_000
Row = dict[str, Any]


class PlainJoiner:
    """HashQueue over dicts; ``samples`` and ``side`` are lists of rows as the real one's tables give them."""

    def __init__(self, config: JoinConfig) -> None:
        self.config = config
        self.windows = {Kind[k.upper()]: round(s * 1000) for k, s in config.windows.items()}
        self.groups = sorted(set(self.windows.values()))
        self.queue: list[Row] = []  # every impression that entered, for ever
        self.waiting: dict[tuple[str, str], Row] = {}
        self.heads = [0 for _ in self.groups]
        self.early: list[Row] = []
        self.witnesses: list[tuple[int, int]] = []
        self.clock: int | None = None
        self.last_ms: int | None = None
        self.samples: list[Row] = []
        self.side: list[Row] = []
        self.n = dict.fromkeys(("accepted", "duplicate", "stale", "organic", "forced", "repaired"), 0)
        self.kinds = {
            kind: dict.fromkeys(("seen", "joined", "grown", "duplicate", "late", "orphan", "organic"), 0)
            for kind in self.windows
        }

    def feed(self, events: EventBatch) -> None:
        for at, event in enumerate(events.table.to_pylist()):
            kind = Kind(event["kind"])
            if kind == Kind.IMPRESSION:
                self.show(event, at)
            elif kind in self.windows:
                self.report(event, kind, at)

    def show(self, event: Row, at: int) -> None:
        key = (event["request_id"], event["item_id"])
        skew = round(self.config.skew_s * 1000)
        if not event["request_id"]:
            self.n["organic"] += 1
        elif self.clock is not None and event["time_ms"] + self.groups[-1] + skew <= self.clock:
            self.n["stale"] += 1
            behind = (self.clock - event["time_ms"]) / 1000
            self.side.append(aside("stale", at, Kind.IMPRESSION, behind, None, at))
        elif key in self.waiting:
            self.n["duplicate"] += 1
        else:
            self.accept(event, key, at)

    def accept(self, event: Row, key: tuple[str, str], at: int) -> None:
        self.n["accepted"] += 1
        if len(self.waiting) >= self.config.max_waiting:
            self.n["forced"] += 1
            oldest = self.heads[-1]
            for g in range(len(self.groups)):
                while self.heads[g] <= oldest:
                    self.emit(g, at)
        time_ms = event["time_ms"]
        entry = {**event, "offset": at, "key": key, "labels": set(), "watch_s": 0.0}
        self.waiting[key] = entry
        self.queue.append(entry)
        mine = [e for e in self.early if e["key"] == key]
        self.early = [e for e in self.early if e["key"] != key]
        for e in mine:
            self.label(entry, e, e["kind"], e["at"], at)
        if time_ms != self.last_ms:
            self.last_ms = time_ms
            self.tick(time_ms, len(self.queue) - 1)
            self.close(at)
            self.expire(at)

    def tick(self, time_ms: int, number: int) -> None:
        k = self.config.witnesses
        self.witnesses.append((time_ms, number))
        if len(self.witnesses) < k:
            return
        agreed = min(t for t, _ in self.witnesses[-k:])
        self.clock = agreed if self.clock is None else max(self.clock, agreed)
        if len(self.witnesses) > k:
            for entry in self.queue[self.witnesses[-k - 1][1] : self.witnesses[-k][1]]:
                is_held = self.waiting.get(entry["key"]) is entry
                if is_held and entry["time_ms"] > self.clock + round(self.config.skew_s * 1000):
                    entry["time_ms"] = self.clock
                    self.n["repaired"] += 1

    def close(self, at: int) -> None:
        if self.clock is None:
            return
        for g, window in enumerate(self.groups):
            due = self.clock - window - round(self.config.skew_s * 1000)
            while self.heads[g] < len(self.queue) and self.queue[self.heads[g]]["time_ms"] <= due:
                self.emit(g, at)

    def emit(self, g: int, at: int) -> None:
        entry = self.queue[self.heads[g]]
        self.heads[g] += 1
        known = {k.name.lower() for k, w in self.windows.items() if w <= self.groups[g]}
        row = {name: entry[name] for name in ("offset", "time_ms", "user_id", "item_id", "request_id", "position")}
        row |= {"window_s": self.groups[g] / 1000, "is_complete": g == len(self.groups) - 1, "closed_at": at}
        row["closed_ms"] = -(2**62) if self.clock is None else self.clock
        for kind in sorted(self.windows):
            name = kind.name.lower()
            row[name] = int(kind in entry["labels"]) if name in known else None
            if kind == Kind.WATCH:
                row["watch_s"] = float(np.float32(entry["watch_s"])) if name in known else None
        self.samples.append(row)
        if row["is_complete"]:
            del self.waiting[entry["key"]]

    def report(self, event: Row, kind: Kind, at: int) -> None:
        count, key = self.kinds[kind], (event["request_id"], event["item_id"])
        count["seen"] += 1
        if not event["request_id"]:
            count["organic"] += 1
        elif key in self.waiting:
            self.label(self.waiting[key], event, kind, at, at)
        else:
            if self.n_early() >= self.config.max_waiting:
                self.orphan(self.early.pop(0), at)
            self.early.append({**event, "kind": kind, "key": key, "at": at, "since": self.clock})

    def n_early(self) -> int:
        return len(self.early)

    def label(self, entry: Row, event: Row, kind: Kind, at: int, now_at: int) -> None:
        count, group = self.kinds[kind], self.groups.index(self.windows[kind])
        is_known = kind in entry["labels"]
        delay = event["time_ms"] - entry["time_ms"]
        if is_known and not (kind == Kind.WATCH and event["value"] > entry["watch_s"]):
            count["duplicate"] += 1
        elif delay > self.windows[kind] or self.queue.index(entry) < self.heads[group]:
            count["late"] += 1
            self.side.append(aside("late", at, kind, delay / 1000, entry["offset"], now_at))
        else:
            count["grown" if is_known else "joined"] += 1
            entry["labels"].add(kind)
            if kind == Kind.WATCH:
                entry["watch_s"] = event["value"]

    def expire(self, at: int) -> None:
        while self.early and self.clock is not None:
            if self.early[0]["since"] is None:
                self.early[0]["since"] = self.clock
            if self.clock <= self.early[0]["since"] + round(self.config.early_s * 1000):
                return
            self.orphan(self.early.pop(0), at)

    def orphan(self, report: Row, at: int) -> None:
        self.kinds[report["kind"]]["orphan"] += 1
        self.side.append(aside("orphan", report["at"], report["kind"], None, None, at))


def aside(why: str, offset: int, kind: Kind, delay_s: float | None, shown: int | None, closed_at: int) -> Row:
    name = kind.name.lower()
    return {
        "why": why, "offset": offset, "kind": name, "delay_s": delay_s, "impression": shown, "closed_at": closed_at
    }  # fmt: skip


def event(kind: Kind, time_s: float, request: str, item: str, **more: Any) -> Row:
    """One event, ``time_s`` after a fixed day began."""
    time_ms = BASE_MS + round(time_s * 1000)
    return {"kind": int(kind), "time_ms": time_ms, "user_id": "u", "item_id": item, "request_id": request, **more}


KINDS = (*[Kind.IMPRESSION] * 4, Kind.CLICK, Kind.CLICK, Kind.LIKE, Kind.WATCH, Kind.WATCH, Kind.SHARE, Kind.ITEM)


@st.composite
def logs(draw: st.DrawFn) -> EventBatch:
    """Logs of few requests and items, so that keys repeat, with jumps of time both ways."""
    rows, now = [], 0.0
    for _ in range(draw(st.integers(1, 120))):
        now += draw(st.sampled_from([0.0, 0.0, 1.0, 3.0, 10.0, 10.0, 60.0]))
        kind = draw(st.sampled_from(KINDS))
        request = draw(st.sampled_from(["", "a", *[f"r{k}" for k in range(8)], f"now{int(now)}"]))
        off = draw(st.sampled_from([0.0, 0.0, 0.0, 0.0, -2.0, -15.0, -200.0, 4.0, 1e6]))
        value = draw(st.sampled_from([0.0, 1.0, 2.5, 7.0]))
        more = {"value": value, "position": len(rows) % 7}
        rows.append(event(kind, now + off, request, draw(st.sampled_from("xyz")), **more))
    return EventBatch.rows(rows)


def told(config: Mapping[str, Any]) -> JoinConfig:
    """Windows of seconds, so that a short log has all that can happen."""
    windows = {"click": 10.0, "like": 30.0, "watch": 60.0, "share": 60.0}
    return JoinConfig(**{"windows": windows, "skew_s": 5.0, "early_s": 8.0, "witnesses": 2, **config})
