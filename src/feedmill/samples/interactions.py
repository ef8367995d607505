"""Interest weights: one row per (user, item), the input of the counting channels (SPEC "like(u, i)")."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from feedmill.core.batches import Interactions
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.state import State

WEIGHTS = {
    "click": 1.0,
    "finish": 1.0,
    "like": 1.0,
    "favourite": 1.0,
    "share": 1.0,
    "comment": 1.0,
    "follow": 1.0,
    "dislike": -5.0,
}


class InterestConfig(Config, frozen=True):
    """Section ``[samples.interest]``: like(u, i) = the sum of these over the pair's events, not below 0."""

    weights: Annotated[dict[str, float], Meta(description="event kind -> weight of one such event")] = msgspec.field(
        default_factory=lambda: dict(WEIGHTS)
    )
    watch_full_s: Annotated[float, Meta(gt=0, description="seconds of watching that weigh 1")] = 30.0
    is_binary: Annotated[bool, Meta(description="any positive weight counts as 1")] = True


def interactions(events: EventBatch, state: State, config: InterestConfig) -> Interactions:
    """Add up events by pair.

    Args:
        events: any events; only behaviour with a user, an item and a weight counts.

    Returns:
        rows sorted by user, then time of the pair's last event, then item; pairs whose weight is not above 0 are left
        out.
    """
    kind = events.numpy("kind")
    weight = _weights(config)[kind] * np.ones(len(events))
    watched = kind == Kind.WATCH
    weight[watched] = np.minimum(events.numpy("value")[watched] / config.watch_full_s, 1.0)
    user = state.users.rows(events.table.column("user_id"))
    item = state.items.rows(events.table.column("item_id"))
    keep = (weight != 0) & (user > 0) & (item > 0)
    n_users, n_items = len(state.users), len(state.items)
    pair = user[keep].astype(np.int64) * n_items + item[keep]
    unique, inverse = np.unique(pair, return_inverse=True)
    like = np.bincount(inverse, weights=weight[keep], minlength=len(unique))
    time_ms = np.zeros(len(unique), np.int64)
    np.maximum.at(time_ms, inverse, events.numpy("time_ms")[keep])
    order = np.lexsort((unique, time_ms, unique // n_items))
    order = order[like[order] > 0]
    like = np.minimum(like[order], 1.0) if config.is_binary else like[order]
    return Interactions(
        user=(unique[order] // n_items).astype(np.int32),
        item=(unique[order] % n_items).astype(np.int32),
        like=np.where(like > 0, 1.0 if config.is_binary else like, 0.0).astype(np.float32),
        time_ms=time_ms[order],
        n_users=n_users,
        n_items=n_items,
    )


def _weights(config: InterestConfig) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    out = np.zeros(max(Kind) + 1)
    for name, weight in config.weights.items():
        if name.upper() not in Kind.__members__ or name == "watch":
            kinds = [k.name.lower() for k in Kind if k.name != "WATCH"]
            raise ConfigError(f'samples.interest.weights: no kind "{name}"', f"one of {kinds}")
        out[Kind[name.upper()]] = weight
    return out
