"""A log that drifts, with the chance of every click known: what people like changes from day to day, and the catalogue
and the audience are never the same two days in a row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind

START_MS, DAY_MS = 1_699_920_000_000, 86_400_000  # a midnight
PER_REQUEST = 5
N_TOPICS = 8


@dataclass(frozen=True)
class Drift:
    """How large the world is, and how fast it changes.

    Attributes:
        n_users, n_items: on the first day.
        n_requests: a day, of ``PER_REQUEST`` impressions each.
        keep: correlation of a taste with the same a day before.
        new_users, new_items: a day, as a share of the first day's; as many old items go.
        taste, quality, own: standard deviations in logits: of a user's taste for a topic, of an item's quality, and of
            a user's readiness to click.
        sway: standard deviation in logits of what a day does to everybody.
    """

    n_users: int = 400
    n_items: int = 300
    n_requests: int = 3000
    keep: float = 0.9
    new_users: float = 0.03
    new_items: float = 0.05
    taste: float = 1.2
    quality: float = 0.5
    own: float = 0.6
    sway: float = 0.15
    rate: float = -1.6


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """Events of a day in order, and float64[n] the chance of a click of each of its impressions, in order."""

    events: EventBatch
    chance: NDArray[np.float64]


class World:
    """Days one after the other. Users and items are numbered in the order in which they came.

    Args:
        seed: the same seed gives the same log.
    """

    def __init__(self, drift: Drift, seed: int) -> None:
        self._drift, self._random, self._day = drift, rng(seed, "drifting world"), 0
        self._taste = np.zeros((0, N_TOPICS))
        self._own, self._quality = np.zeros(0), np.zeros(0)
        self._topic = np.zeros(0, np.int64)
        self._live = np.zeros(0, np.int64)

    def next_day(self) -> Day:
        """The next day, drifted on from the one before."""
        d, first = self._drift, self._day == 0
        described = [
            self._people(d.n_users if first else round(d.new_users * d.n_users)),
            self._things(d.n_items if first else round(d.new_items * d.n_items)),
        ]
        if not first:
            noise = self._random.normal(0, d.taste, self._taste.shape)
            self._taste = d.keep * self._taste + np.sqrt(1 - d.keep**2) * noise
        shown, chance = self._shown()
        self._day += 1
        return Day(EventBatch.concat([*described, shown]), chance)

    @property
    def _now_ms(self) -> int:
        return START_MS + self._day * DAY_MS

    def _people(self, n: int) -> EventBatch:
        random, d, had = self._random, self._drift, len(self._taste)
        self._taste = np.concatenate([self._taste, random.normal(0, d.taste, (n, N_TOPICS))])
        self._own = np.concatenate([self._own, random.normal(0, d.own, n)])
        return _described(Kind.USER, self._now_ms, had, [{}] * n)

    def _things(self, n: int) -> EventBatch:
        random, had = self._random, len(self._quality)
        self._quality = np.concatenate([self._quality, random.normal(0, self._drift.quality, n)])
        topic = random.integers(0, N_TOPICS, n)
        self._topic = np.concatenate([self._topic, topic])
        self._live = np.concatenate([self._live, had + np.arange(n)])[-max(self._drift.n_items, n) :]
        return _described(Kind.ITEM, self._now_ms, had, [{"topics": [f"t{k}"], "duration_s": 30.0} for k in topic])

    def _shown(self) -> tuple[EventBatch, NDArray[np.float64]]:
        random, d = self._random, self._drift
        n = d.n_requests * PER_REQUEST
        user = np.repeat(random.integers(0, len(self._taste), d.n_requests), PER_REQUEST)
        item = random.choice(self._live, n)
        z = d.rate + random.normal(0, d.sway) + self._own[user] + self._quality[item]
        chance = 1 / (1 + np.exp(-(z + self._taste[user, self._topic[item]])))
        clicked = np.flatnonzero(random.random(n) < chance)
        request = np.arange(n) // PER_REQUEST
        gap_ms = DAY_MS // (d.n_requests + 1)
        asked = self._now_ms + (request + 1) * gap_ms
        at = np.concatenate([np.arange(n), clicked])
        kind = np.concatenate([np.full(n, int(Kind.IMPRESSION)), np.full(len(clicked), int(Kind.CLICK))])
        time_ms = asked[at] + np.where(kind == Kind.CLICK, gap_ms // 2, 0)
        by = np.lexsort((at, kind, time_ms))
        at = at[by]
        columns = {
            "time_ms": time_ms[by],
            "kind": kind[by].astype(np.int8),
            "user_id": [f"u{k}" for k in user[at]],
            "item_id": [f"i{k}" for k in item[at]],
            "request_id": [f"{self._day}.{k}" for k in request[at]],
        }
        return EventBatch.of(columns), chance


def _described(kind: Kind, time_ms: int, first: int, payload: list[dict[str, object]]) -> EventBatch:
    side = "u" if kind == Kind.USER else "i"
    return EventBatch.of(
        {
            "time_ms": time_ms,
            "kind": int(kind),
            f"{'user' if kind == Kind.USER else 'item'}_id": [f"{side}{first + k}" for k in range(len(payload))],
            "payload": [json.dumps(p) for p in payload],
        }
    )
