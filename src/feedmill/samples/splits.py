"""Splits: what is held out, and a hash that names it. The hash is printed with every metric."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import LANES
from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind

DAY_MS = 86_400_000


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
        at: int64[m] for each, the index at which its feed would have been asked for: of the first impression of the
            request that showed the item, or of the event itself where nothing says that it was shown. What came of
            that request, its impressions included, is not known at that moment and does not train.
        is_cold: bool[m] the user has fewer than ``min_history`` items in train.
        hash: of the held-out (user, item, time, kind) rows.
    """

    name: str
    train: NDArray[np.bool_]
    test: NDArray[np.int64]
    at: NDArray[np.int64]
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
    behaviour = kind < Kind.ITEM  # searches too: a later one tells what is to be predicted
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
    user, item = _codes(events, "user_id"), _codes(events, "item_id")
    target = _last_items(user, item, consumed, config.skip)
    name = "last item per user" if config.skip == 0 else f"item {config.skip + 1} from the end per user"
    never, nothing = len(events), -1
    start, wanted = np.full(int(user.max()) + 1, never), np.full(int(user.max()) + 1, nothing)
    start[user[target]], wanted[user[target]] = target, item[target]
    held = (np.arange(len(events)) >= start[user]) & (item == wanted[user]) & consumed
    start[user[target]] = moments(events, target)
    return _made(name, events, held, behaviour & (np.arange(len(events)) < start[user]), config)


def _codes(events: EventBatch, column: str) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = events.table.column(column).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _last_items(
    user: NDArray[np.int64], item: NDArray[np.int64], consumed: NDArray[np.bool_], skip: int
) -> NDArray[np.int64]:
    """Indices of each user's first visit of the last distinct item but ``skip``; users of fewer items have none."""
    pair = user[consumed] * (int(item.max()) + 1) + item[consumed]
    _, first = np.unique(pair, return_index=True)
    first = np.sort(np.flatnonzero(consumed)[first])
    first = first[np.lexsort((first, user[first]))]
    u = user[first]
    from_end = np.searchsorted(u, u, "right") - 1 - np.arange(len(u))  # 0 = the user's newest item
    n_items = np.searchsorted(u, u, "right") - np.searchsorted(u, u, "left")
    chosen: NDArray[np.int64] = first[(from_end == skip) & (n_items > skip + 1)]
    return chosen


def asked_at(events: EventBatch) -> NDArray[np.int64]:
    """int64[n]: for an impression the index of the first one of its request, for any other event its own index.

    A request is every impression of one user, time and request id: nothing of it was known when it was asked for.
    """
    frame = pl.DataFrame(
        {
            "user": _codes(events, "user_id"),
            "request": _codes(events, "request_id"),
            "time_ms": events.numpy("time_ms"),
            "is_shown": events.numpy("kind") == Kind.IMPRESSION,
        }
    ).with_row_index("at")
    first = pl.col("at").min().over("user", "time_ms", "request", "is_shown")
    chosen = pl.when("is_shown").then(first).otherwise("at").cast(pl.Int64)
    return frame.select(chosen).to_series().to_numpy()


def moments(events: EventBatch, target: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[m]: the index at which the request that led to each event was asked for, else the event's own.

    An impression of the same user and item within a day before the event led to it.
    """
    frame = pl.DataFrame(
        {
            "user": _codes(events, "user_id"),
            "item": _codes(events, "item_id"),
            "time_ms": events.numpy("time_ms"),
            "kind": events.numpy("kind"),
            "asked_at": asked_at(events),
        }
    ).with_row_index("at")
    shown = frame.filter(pl.col("kind") == Kind.IMPRESSION).drop("kind")
    wanted = frame[target].select("user", "item", pl.col("at").alias("target"), pl.col("time_ms").alias("until_ms"))
    led = (
        wanted.join(shown, on=["user", "item"])
        .filter(pl.col("at") < pl.col("target"), pl.col("until_ms") - pl.col("time_ms") <= DAY_MS)
        .sort("at")
        .unique("target", keep="last")
    )
    found = dict(zip(led["target"].to_list(), led["asked_at"].to_list(), strict=True))
    return np.array([found.get(t, t) for t in target.tolist()], np.int64)


def _made(
    name: str, events: EventBatch, held: NDArray[np.bool_], train: NDArray[np.bool_], config: EvaluateConfig
) -> Split:
    test = np.flatnonzero(held)
    train = train | (events.numpy("kind") >= Kind.ITEM)
    columns = ("user_id", "item_id", "time_ms", "kind")
    rows = sorted(zip(*(events.table.column(c).take(test).to_pylist() for c in columns), strict=True))
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
    is_cold = _is_cold(events, train, test, config.min_history)
    return Split(name, train, test, moments(events, test), is_cold, digest)


def _is_cold(
    events: EventBatch, train: NDArray[np.bool_], test: NDArray[np.int64], min_history: int
) -> NDArray[np.bool_]:
    user = events.table.column("user_id").dictionary_encode().indices.to_numpy()
    consumed = np.isin(events.numpy("kind"), LANES["clicked"] + LANES["liked"]) & train
    seen = np.bincount(user[consumed], minlength=int(user.max()) + 1 if len(user) else 1)
    return np.asarray(seen[user[test]] < min_history, np.bool_)
