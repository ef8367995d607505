"""What the state must say, computed from its definitions: every answer from the whole list of events before it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from feedmill.core.batches import LANES, QUERY_LANES
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.state import CROSS, StateConfig

Row = Mapping[str, Any]


def rows_of(events: EventBatch) -> list[Row]:
    return events.table.to_pylist()


class Reference:
    """The state after a list of events, which are kept as they are."""

    def __init__(self, config: StateConfig) -> None:
        self.config = config
        self.behaviour: list[tuple[Row, str, list[str]]] = []  # with the item's author and topics at that time
        self.searches: list[Row] = []
        self.about: dict[str, dict[str, Any]] = {}
        self.last_author: dict[str, str] = {}

    def fold(self, events: Iterable[Row]) -> None:
        for e in events:
            if e["kind"] == Kind.ITEM and e["item_id"]:
                keys = json.loads(e["payload"])
                if author := str(keys.get("author_id", "")):
                    self.last_author[e["item_id"]] = author if not keys.get("deleted") else self.last(e["item_id"])
                self.about[e["item_id"]] = {} if keys.get("deleted") else {**self.about.get(e["item_id"], {}), **keys}
            elif e["kind"] == Kind.SEARCH:
                self.searches.append(e)
            elif 0 <= e["kind"] < N_COUNTED:
                self.behaviour.append((e, self.author(e["item_id"]), self.topics(e["item_id"])))

    def last(self, item: str) -> str:
        return self.last_author.get(item, "")

    def author(self, item: str) -> str:
        return str(self.about.get(item, {}).get("author_id", ""))

    def topics(self, item: str) -> list[str]:
        return list(dict.fromkeys(self.about.get(item, {}).get("topics", [])))[:8]

    def history(self, user: str, lane: str) -> list[tuple[str, int]]:
        """(item or query, time) newest first; the same twice in a row is one visit."""
        if lane in QUERY_LANES:
            entries = [(e, e["payload"].strip()[:256].rstrip()) for e in self.searches]
        else:
            entries = [(e, e["item_id"]) for e, _, _ in self.behaviour if e["kind"] in LANES[lane]]
        visits: list[tuple[str, int]] = []
        for e, what in entries:
            if user and e["user_id"] == user and what:
                if visits and visits[-1][0] == what:
                    visits[-1] = (what, max(visits[-1][1], e["time_ms"]))
                else:
                    visits.append((what, e["time_ms"]))
        return visits[::-1][: self.config.history_len]

    def seen(self, user: str) -> set[str]:
        return {e["item_id"] for e, _, _ in self.behaviour if e["user_id"] == user and e["kind"]} - {""}

    def counts(self, entity: str, key: str, time_ms: int) -> np.ndarray[Any, Any]:
        """Sum of exp(-age / tau); nothing is younger than the key's newest counted event."""
        kinds = {name.partition(".")[0] for name in self.config.counts}
        mine = [e for e, a, t in self.behaviour if key and key in _keys(entity, e, a, t)]
        mine = [e for e in mine if Kind(e["kind"]).name.lower() in kinds]
        now = max([time_ms, *(e["time_ms"] for e in mine)])
        out = []
        for name in self.config.count_names:
            kind, _, window = name.partition(".")
            tau = self.config.windows.get(window, math.inf)
            amounts = (
                (e["value"] if kind == "watch" else 1.0) * math.exp(-(now - e["time_ms"]) / 1000 / tau)
                for e in mine
                if Kind(e["kind"]).name.lower() == kind
            )
            out.append(math.fsum(amounts))
        return np.array(out)

    def cross(self, user: str, item: str, time_ms: int) -> np.ndarray[Any, Any]:
        clicked, shown = self.history(user, "clicked"), self.history(user, "shown")
        author, about = self.author(item), self.about.get(item, {})
        by_author = [t for i, t in clicked if item and author and self.author(i) == author]
        of_item = [t for i, t in clicked + shown if i == item]
        published = about.get("publish_ms", 0)
        values = {
            "shown_item": sum(i == item for i, _ in shown),
            "shown_author": sum(bool(author) and self.author(i) == author for i, _ in shown),
            "clicked_author": len(by_author),
            "author_last_s": max(0, time_ms - max(by_author)) / 1000 if by_author else math.nan,
            "item_last_s": max(0, time_ms - max(of_item)) / 1000 if of_item else math.nan,
            "age_s": max(0, time_ms - published) / 1000 if published else math.nan,
            "duration_s": about.get("duration_s", math.nan),
        }
        for lane in ("clicked", "liked", "disliked"):
            history = self.history(user, lane)
            common = [bool(set(self.topics(i)) & set(self.topics(item))) for i, _ in history]
            values[f"{lane}_topics"] = float(np.mean(common)) if common else 0.0
        return np.array([values[name] for name in CROSS], np.float64)

    def pair_counts(self, user: str, item: str, time_ms: int) -> np.ndarray[Any, Any]:
        each = [self.counts("pair", f"{user} {topic}", time_ms) for topic in self.topics(item)] if user else []
        return np.mean(each, axis=0) if each else np.zeros(len(self.config.count_names))

    def times(self, user: str) -> tuple[int, int]:
        """Of the user's first counted event, and the latest time of any."""
        kinds = {name.partition(".")[0] for name in self.config.count_names}
        mine = [e for e, _, _ in self.behaviour if user and e["user_id"] == user]
        at = [e["time_ms"] for e in mine if Kind(e["kind"]).name.lower() in kinds]
        return (at[0], max(at)) if at else (0, 0)

    def liked_topics(self, user: str) -> list[str]:
        """The 8 that most of the liked history has, of equally many the one met latest."""
        met = [topic for item, _ in self.history(user, "liked") for topic in self.topics(item)]
        return sorted(dict.fromkeys(met), key=lambda topic: -met.count(topic))[:8]

    def topic_counts(self, item: str, time_ms: int) -> np.ndarray[Any, Any]:
        each = [self.counts("topic", topic, time_ms) for topic in self.topics(item)]
        return np.mean(each, axis=0) if each else np.zeros(len(self.config.counts))


def _keys(entity: str, event: Row, author: str, topics: list[str]) -> list[str]:
    if entity == "pair":
        return [f"{event['user_id']} {topic}" for topic in topics] if event["user_id"] else []
    return {"user": [event["user_id"]], "item": [event["item_id"]], "author": [author], "topic": topics}[entity]
