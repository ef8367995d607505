"""The tables again, in plain Python, an event at a time; and small random logs to compare them on."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
EDGES_S = (10, 20, 40, 60, 120, 300, 900)
NAMES = {
    Kind.IMPRESSION: "impressions", Kind.CLICK: "clicks", Kind.LIKE: "likes", Kind.FAVOURITE: "favourites",
    Kind.SHARE: "shares", Kind.COMMENT: "comments", Kind.FOLLOW: "follows", Kind.WATCH: "watches",
    Kind.FINISH: "finishes", Kind.DISLIKE: "dislikes", Kind.SEARCH: "searches",
}  # fmt: skip
Event = dict[str, Any]


def log_of(events: Sequence[Event]) -> MemoryLog:
    log = MemoryLog()
    log.append(EventBatch.rows(events))
    return log


def tables(events: Sequence[Event], timezone: str) -> dict[str, dict[tuple[Any, ...], Any]]:
    """days, tried, exposed and shown by key, as ``Rollup.read`` says; sums that are 0 are left out."""
    days: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    tried: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    shown: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    exposed: dict[tuple[Any, ...], tuple[int, int]] = {}
    since: dict[str, list[str]] = defaultdict(list)
    items: dict[str, dict[str, Any]] = {}

    def day_of(ms: int) -> date:
        return datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)).date()

    for at, e in enumerate(events):
        kind, user, item = e["kind"], e.get("user_id", ""), e.get("item_id", "")
        if kind == Kind.ITEM:
            is_new, keys = item not in items, json.loads(e["payload"])
            items.setdefault(item, {}).update(keys)
            if not (is_new and keys.get("author_id")):
                continue
            user, day = keys["author_id"], day_of(keys.get("publish_ms") or e["time_ms"])
            adds = Counter(published=1)
        elif kind in NAMES and user:
            day, known = day_of(e["time_ms"]), items.get(item, {})
            arms = json.loads(e.get("payload") or "{}").get("experiments", {}) if kind == Kind.IMPRESSION else {}
            adds = _adds(events, at, known, [items.get(x["item_id"], {}) for x in _run(events, at)])
            for name, arm in arms.items():
                if name not in since[user]:
                    since[user].append(name)
                exposed.setdefault((name, user, arm, day), (at, e["time_ms"]))
                shown[name, arm, None, item] += _only_shown(adds)
            if kind == Kind.IMPRESSION:
                shown["", "", day, item] += _only_shown(adds)
        else:
            continue
        days[user, day] += adds
        for name in since[user]:
            tried[name, user, day] += adds
    return {"days": days, "tried": tried, "exposed": exposed, "shown": shown}


def _only_shown(adds: Counter[str]) -> Counter[str]:
    return Counter({k: v for k, v in adds.items() if k in ("impressions", "new_impressions")})


def _run(events: Sequence[Event], at: int) -> Sequence[Event]:
    """The request that begins with this impression; nothing if it is not the first, or of none."""

    def key(i: int) -> tuple[Any, ...]:
        e = events[i]
        return (e["kind"], e.get("request_id", ""), e.get("user_id", ""))

    if key(at)[0] != Kind.IMPRESSION or not key(at)[1] or (at and key(at - 1) == key(at)):
        return ()
    end = at
    while end < len(events) and key(end) == key(at):
        end += 1
    return events[at:end]


def _adds(events: Sequence[Event], at: int, known: dict[str, Any], slate: Sequence[dict[str, Any]]) -> Counter[str]:
    e = events[at]
    adds = Counter({NAMES[e["kind"]]: 1})
    seconds = known.get("duration_s")
    bucket = sum(seconds >= edge for edge in EDGES_S) if seconds else len(EDGES_S) + 1
    if e["kind"] == Kind.WATCH:
        adds += Counter({"watch_ms": round(e["value"] * 1000), f"plays_{bucket}": 1})
    if e["kind"] == Kind.FINISH:
        adds[f"finishes_{bucket}"] = 1
    if e["kind"] == Kind.IMPRESSION and known.get("publish_ms"):
        adds["new_impressions"] = int(0 <= e["time_ms"] - known["publish_ms"] <= 7 * DAY_MS)
    if slate:
        adds["requests"] = 1
        adds["topics"] = len({k["topics"][0] for k in slate if k.get("topics")})
        adds["authors"] = len({k["author_id"] for k in slate if k.get("author_id")})
    return +adds


def _described() -> st.SearchStrategy[dict[str, Any]]:
    keys = {
        "author_id": st.sampled_from(["u1", "u2", "a9"]),
        "topics": st.lists(st.sampled_from(["t1", "t2"]), max_size=2),
        "duration_s": st.sampled_from([5, 10, 19.5, 899, 900, 2000]),
        "publish_ms": st.integers(START_MS - 9 * DAY_MS, START_MS + DAY_MS),
    }
    return st.fixed_dictionaries({}, optional=keys)


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Requests with arms, acts, searches and descriptions, times in no order."""
    out: list[Event] = []
    when = st.integers(START_MS, START_MS + 5 * DAY_MS)
    user, item = st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(["i1", "i2", "i3", "i4"])
    arms = st.dictionaries(st.sampled_from(["x", "y", "holdout"]), st.sampled_from(["a", "b"]), max_size=3)
    for r in range(draw(st.integers(1, 12))):
        what = draw(st.sampled_from(["request", "request", "act", "act", "item", "user"]))
        time_ms = draw(when)
        if what == "request":
            of = {"time_ms": time_ms, "kind": Kind.IMPRESSION, "user_id": draw(user)}
            of["request_id"] = draw(st.sampled_from([f"r{r}", "", "r"]))
            of["payload"] = draw(st.sampled_from([json.dumps({"version": "v", "experiments": draw(arms)}), "", "{"]))
            of["payload"] = "" if of["payload"] == "{" else of["payload"]
            out += [{**of, "item_id": i} for i in draw(st.lists(item, min_size=1, max_size=4))]
        elif what == "act":
            kind = draw(st.sampled_from([k for k in NAMES if k != Kind.IMPRESSION]))
            value = draw(st.integers(0, 400)) / 4
            out.append({"time_ms": time_ms, "kind": kind, "user_id": draw(user), "item_id": draw(item), "value": value})
        elif what == "item":
            payload = json.dumps(draw(_described()))
            out.append({"time_ms": time_ms, "kind": Kind.ITEM, "item_id": draw(item), "payload": payload})
        else:
            out.append({"time_ms": time_ms, "kind": Kind.USER, "user_id": draw(user), "payload": "{}"})
    return out
