"""Splits: what is held out, and a hash that names it. The hash is printed with every metric."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import LANES
from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.core.events import N_COUNTED, EventBatch


class EvaluateConfig(Config, frozen=True):
    """Section ``[evaluate]``."""

    split: Annotated[
        Literal["last_item", "global_time", "none"],
        Meta(description="last_item: each user's last item; global_time: everything after a cut; none: train on all"),
    ] = "last_item"
    skip: Annotated[int, Meta(ge=0, description="last_item: later items left out of both sides (1 = validation)")] = 0
    share: Annotated[float, Meta(gt=0, lt=1, description="global_time: share of events after the cut")] = 0.1
    min_history: Annotated[int, Meta(ge=1, description="a user with fewer training items is cold")] = 5
    max_users: Annotated[int, Meta(ge=1, description="held-out users at most, a seeded draw")] = 10_000
    n_bootstrap: Annotated[int, Meta(ge=100, description="resamples of users for the intervals")] = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which events train, and which are each held-out user's future.

    Attributes:
        name: of the protocol, as printed.
        train: bool[n] over the log's events; catalogue events always train.
        test: int64[m] indices of held-out behaviour events, in log order.
        is_cold: bool[m] the user has fewer than ``min_history`` items in train.
        hash: of the held-out (user, item, time, kind) rows.
    """

    name: str
    train: NDArray[np.bool_]
    test: NDArray[np.int64]
    is_cold: NDArray[np.bool_]
    hash: str


def split(events: EventBatch, config: EvaluateConfig) -> Split:
    """Hold out by the configured protocol.

    last_item: every event of a user's last newly consumed item, at its last visit. Each user's training events all
    come before it; other users' later events do train the models (state features stay as of the request).
    global_time: every behaviour event after the cut; nothing later than the cut trains anything.

    Raises:
        DataError: nothing to hold out.
    """
    kind = events.numpy("kind")
    behaviour = kind < N_COUNTED
    consumed = np.isin(kind, LANES["clicked"] + LANES["liked"])
    if config.split == "none":
        return _made("none", events, behaviour & False, behaviour, config)
    if not consumed.any():
        raise DataError("a log in which nobody consumed anything", "clicks, watches or likes", "ingest some events")
    if config.split == "global_time":
        time_ms = events.numpy("time_ms")
        cut = np.quantile(time_ms[consumed], 1 - config.share, method="lower")
        later = behaviour & (time_ms > cut)
        return _made(f"global time, last {config.share:.0%}", events, later & consumed, behaviour & ~later, config)
    held, train = _last_items(events, consumed, config.skip)
    name = "last item per user" if config.skip == 0 else f"item {config.skip + 1} from the end per user"
    return _made(name, events, held & consumed, behaviour & train, config)


def _last_items(
    events: EventBatch, consumed: NDArray[np.bool_], skip: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(held out, allowed to train) masks: per user, the last distinct item but ``skip``, and everything before it."""
    user = events.table.column("user_id").dictionary_encode().indices.to_numpy()
    item = events.table.column("item_id").dictionary_encode().indices.to_numpy()
    index = np.arange(len(events))
    pair = user[consumed].astype(np.int64) * (int(item.max()) + 1) + item[consumed]
    _, first = np.unique(pair, return_index=True)  # the first visit of each pair, in log order
    first = np.sort(index[consumed][first])
    by_user = np.lexsort((first, user[first]))
    u = user[first][by_user]
    from_end = np.searchsorted(u, u, "right") - 1 - np.arange(len(u))  # 0 = the user's newest item
    n_items = np.searchsorted(u, u, "right") - np.searchsorted(u, u, "left")
    target = first[by_user][(from_end == skip) & (n_items > skip + 1)]
    start = np.full(int(user.max()) + 1, len(events))
    start[user[target]] = target
    wanted = np.full(int(user.max()) + 1, -1)
    wanted[user[target]] = item[target]
    later = index >= start[user]
    return later & (item == wanted[user]), ~later


def _made(
    name: str, events: EventBatch, held: NDArray[np.bool_], train: NDArray[np.bool_], config: EvaluateConfig
) -> Split:
    test = np.flatnonzero(held)
    train = train | (events.numpy("kind") >= N_COUNTED)
    columns = ("user_id", "item_id", "time_ms", "kind")
    rows = sorted(zip(*(events.table.column(c).take(test).to_pylist() for c in columns), strict=True))
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
    return Split(name, train, test, _is_cold(events, train, test, config.min_history), digest)


def _is_cold(
    events: EventBatch, train: NDArray[np.bool_], test: NDArray[np.int64], min_history: int
) -> NDArray[np.bool_]:
    user = events.table.column("user_id").dictionary_encode().indices.to_numpy()
    consumed = np.isin(events.numpy("kind"), LANES["clicked"] + LANES["liked"]) & train
    seen = np.bincount(user[consumed], minlength=int(user.max()) + 1 if len(user) else 1)
    return np.asarray(seen[user[test]] < min_history, np.bool_)
