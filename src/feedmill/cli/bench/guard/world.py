"""A stream of which everything is known: the chance of every click, when it is said, and what is done to the stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind

START_MS, MINUTE_MS, DAY_MIN = 1_699_920_000_000, 60_000, 1440  # a midnight
PER_REQUEST = 5
N_USERS, N_ITEMS, N_TOPICS, N_BOTS = 400, 300, 8, 3
Damage = Literal["none", "clicks stop", "half of the clicks lost", "positions constant", "bots click"]
STOP: Damage = "clicks stop"
HALF: Damage = "half of the clicks lost"
DAMAGES: tuple[Damage, ...] = (STOP, HALF, "positions constant", "bots click")


@dataclass(frozen=True)
class Plan:
    """Minutes since midnight; ``feeds`` is requests a minute at the mean of the day."""

    first: int = 6 * 60
    warm: int = 180
    before: int = 90
    broken: int = 30
    after: int = 120
    feeds: float = 60.0

    @property
    def live(self) -> int:
        """The minute at which the trained model goes live."""
        return self.first + self.warm

    @property
    def stop(self) -> tuple[int, int]:
        """From which minute to which the stream is damaged."""
        return self.live + self.before, self.live + self.before + self.broken

    @property
    def end(self) -> int:
        """The last minute, not in it."""
        return self.stop[1] + self.after


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Events in the order in which they came; of each impression, in that order, what is true.

    Attributes:
        chance: float64[n] of a click.
        clicked: bool[n] whether it was, had nothing been damaged.
        time_ms: int64[n].
        human: bool[n].
    """

    events: EventBatch
    chance: NDArray[np.float64]
    clicked: NDArray[np.bool_]
    time_ms: NDArray[np.int64]
    human: NDArray[np.bool_]


def day_shape(minute: NDArray[np.int64]) -> NDArray[np.float64]:
    """Traffic over its mean: low at 4 h, high at 16 h."""
    shape: NDArray[np.float64] = 1 + 0.8 * np.sin(2 * np.pi * (minute - 600) / DAY_MIN)
    return shape


def stream(seed: int, damage: Damage, plan: Plan) -> Stream:
    """The same seed gives the same people, impressions and clicks, whatever the damage."""
    random = rng(seed, "guarded world")
    taste, own = random.normal(0, 1.2, (N_USERS, N_TOPICS)), random.normal(0, 0.6, N_USERS)
    quality, topic = random.normal(0, 0.5, N_ITEMS), random.integers(0, N_TOPICS, N_ITEMS)
    minute = np.arange(plan.first, plan.end)
    feeds = random.poisson(plan.feeds * day_shape(minute))
    sway = _wandering(random, len(minute), 0.98, 0.1) + 0.2 * np.sin(2 * np.pi * minute / DAY_MIN)  # in logits
    of_minute = np.repeat(np.arange(len(minute)), feeds)
    asked_ms = START_MS + np.sort(minute[of_minute] * MINUTE_MS + random.integers(0, MINUTE_MS, len(of_minute)))
    n = len(asked_ms) * PER_REQUEST
    user = np.repeat(random.integers(0, N_USERS, len(asked_ms)), PER_REQUEST)
    first, stride = (
        random.integers(0, N_ITEMS, len(asked_ms)),
        random.integers(1, N_ITEMS // PER_REQUEST, len(asked_ms)),
    )
    item = (first[:, None] + stride[:, None] * np.arange(PER_REQUEST)).ravel() % N_ITEMS  # none twice in a feed
    z = -1.6 + np.repeat(sway[of_minute], PER_REQUEST) + own[user] + quality[item] + taste[user, topic[item]]
    chance = 1 / (1 + np.exp(-z))
    clicked = random.random(n) < chance
    delay_ms = np.minimum(np.exp(random.normal(np.log(12_000), 1.0, n)), 110_000).astype(np.int64)
    shown_ms, position = np.repeat(asked_ms, PER_REQUEST), np.tile(np.arange(PER_REQUEST), len(asked_ms))
    low, high = (START_MS + m * MINUTE_MS for m in plan.stop)
    said, click_ms = clicked.copy(), shown_ms + delay_ms
    hit = (click_ms >= low) & (click_ms < high)
    human = np.ones(n, np.bool_)
    if damage == STOP:
        said &= ~hit
    elif damage == HALF:
        said &= ~hit | (random.random(n) < 0.5)
    elif damage == "positions constant":
        position = np.where((shown_ms >= low) & (shown_ms < high), 0, position)
    elif damage == "bots click":  # they take the place of a third of the people, and click on everything
        human = ~np.repeat((random.random(len(asked_ms)) < 1 / 3), PER_REQUEST) | (shown_ms < low) | (shown_ms >= high)
        user = np.where(human, user, N_USERS + user % N_BOTS)
        said |= ~human
    return Stream(_events(shown_ms, click_ms, said, user, item, position, topic), chance, clicked, shown_ms, human)


def _wandering(random: np.random.Generator, n: int, keep: float, sd: float) -> NDArray[np.float64]:
    """An autoregressive walk of a given standard deviation."""
    noise, out = random.normal(0, sd * np.sqrt(1 - keep**2), n), np.zeros(n)
    for k in range(1, n):
        out[k] = keep * out[k - 1] + noise[k]
    return out


def _events(
    shown_ms: NDArray[np.int64], click_ms: NDArray[np.int64], said: NDArray[np.bool_], user: NDArray[np.int64],
    item: NDArray[np.int64], position: NDArray[np.int64], topic: NDArray[np.int64],
) -> EventBatch:  # fmt: skip
    rows = np.flatnonzero(said)
    at = np.concatenate([np.arange(len(shown_ms)), rows])
    kind = np.repeat([int(Kind.IMPRESSION), int(Kind.CLICK)], [len(shown_ms), len(rows)])
    time_ms = np.concatenate([shown_ms, click_ms[rows]])
    by = np.argsort(time_ms, kind="stable")
    at = at[by]
    columns = {
        "time_ms": time_ms[by],
        "kind": kind[by].astype(np.int8),
        "user_id": [f"u{k}" for k in user[at]],
        "item_id": [f"i{k}" for k in item[at]],
        "request_id": [f"r{k}" for k in at // PER_REQUEST],
        "position": position[at].astype(np.int16),
    }
    payload = [json.dumps({"topics": [f"t{k}"], "duration_s": 30.0}) for k in topic]
    items = {"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(N_ITEMS)],
             "payload": payload}  # fmt: skip
    return EventBatch.concat([EventBatch.of(items), EventBatch.of(columns)])
