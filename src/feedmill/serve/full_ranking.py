"""One channel against held-out pairs, every item a candidate: the protocol of LightGCN and of the BARS leaderboards.

It measures a channel alone, users as they are after the training log. ``serve.evaluate`` measures the whole chain as of
each moment; this one exists because published figures were made so, and because it is quick enough to tune with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import LANE_ROW, LANES, Floats, Interactions, Mask, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import Channel
from feedmill.core.request import FeedRequest
from feedmill.metrics.intervals import Interval, bootstrap
from feedmill.metrics.ranking import ndcg_at, recall_at
from feedmill.samples import InterestConfig, interactions
from feedmill.state import State, StateConfig

K = 20


@dataclass(frozen=True)
class Task:
    """What to learn from, and what is to be found.

    Attributes:
        name: of the split, as printed.
        events: the training log.
        state: of the training log, held-out items and users registered too.
        interactions: its clicks and likes as pairs.
        user: int32[U] rows of the users to ask for, ascending.
        held: U arrays of item rows to be found, ascending; none is among the user's training items.
        hash: of the held-out pairs.
    """

    name: str
    events: EventBatch
    state: State
    interactions: Interactions
    user: Rows
    held: tuple[Rows, ...]
    hash: str

    @cached_property
    def start(self) -> NDArray[np.int64]:
        """int64[n_users + 1]: user u has the interactions ``start[u]:start[u + 1]``."""
        return np.searchsorted(self.interactions.user, np.arange(self.interactions.n_users + 1))

    def seen(self, user: int) -> Rows:
        """Item rows of a user in the training log, oldest first."""
        rows: Rows = self.interactions.item[self.start[user] : self.start[user + 1]]
        return rows

    def view(self, user: int) -> UserColumns:
        """The user as the state has it after the training log, with all of its items in the lane "clicked".

        A state keeps the last ``history_len`` events of each user; published protocols use them all, so the lane is
        made from the interactions where the state's is too short.
        """
        known = self.state.view(self.state.users.id(user), self.state.newest_ms)
        rows = self.seen(user)[::-1]
        if len(rows) <= known.history.shape[2]:
            return known
        at = slice(int(self.start[user]), int(self.start[user + 1]))
        history, history_ms = (np.zeros((1, len(LANES), len(rows)), t) for t in (np.int32, np.int64))
        history[0, LANE_ROW["clicked"]] = rows
        history_ms[0, LANE_ROW["clicked"]] = self.interactions.time_ms[at][::-1]
        return replace(known, history=history, history_ms=history_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a channel said: int32[U, k] items and float32[U, k] scores, best first, padded with 0; none was seen."""

    item: Rows
    score: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Recall@20 and NDCG@20: means over users with 95 % intervals, and each user's own for pairing."""

    recall: Interval
    ndcg: Interval
    recall_of: NDArray[np.float64]
    ndcg_of: NDArray[np.float64]


def task(
    name: str, events: EventBatch, held: tuple[Sequence[str], Sequence[str]], state: StateConfig | None = None
) -> Task:
    """Pairs (user ids, item ids) to be found, after training on ``events``.

    Raises:
        DataError: there are none, or one of them is in the training log.
    """
    if not len(held[0]):
        raise DataError(f"{name}: nothing is held out", "some pairs to find", "hold out a larger share")
    folded = State(state)
    folded.fold(events)
    user, item = folded.users.rows(held[0], grow=True), folded.items.rows(held[1], grow=True)
    pairs = interactions(events, folded, InterestConfig())
    n = len(folded.items)
    wanted = np.unique(user.astype(np.int64) * n + item)
    if np.isin(wanted, pairs.user.astype(np.int64) * n + pairs.item).any():
        raise DataError(f"{name}: a held-out pair is in the training log", "pairs that it does not have")
    users, first = np.unique(wanted // n, return_index=True)
    each = np.split((wanted % n).astype(np.int32), first[1:])
    digest = hashlib.sha256(repr(sorted(zip(held[0], held[1], strict=True))).encode()).hexdigest()[:12]
    return Task(name, events, folded, pairs, users.astype(np.int32), tuple(each), digest)


def random_part(events: EventBatch, share: float, seed: int) -> tuple[EventBatch, tuple[list[str], list[str]]]:
    """The log without a random share of each user's items, and the pairs that were left out.

    A pair goes with all of its events. A user of n items loses n x share of them, rounded, and never the last one.
    """
    state = State()
    state.register(events)
    pairs = interactions(events, state, InterestConfig())
    order = np.lexsort((rng(seed, "random part").random(len(pairs)), pairs.user))
    place = np.arange(len(pairs)) - np.searchsorted(pairs.user, pairs.user)
    n_items = np.bincount(pairs.user, minlength=pairs.n_users)[pairs.user]
    out = order[place < np.minimum(np.rint(n_items * share), n_items - 1)]
    user, item = pairs.user[out], pairs.item[out]
    cells = user.astype(np.int64) * pairs.n_items + item
    of_event = state.users.rows(events.table.column("user_id")).astype(np.int64) * pairs.n_items
    of_event += state.items.rows(events.table.column("item_id"))
    rest = events.take(np.flatnonzero(~np.isin(of_event, cells)))
    return rest, (state.users.ids(user), state.items.ids(item))


def ask(channel: Channel, of: Task, k: int = K, users: Mask | None = None) -> Answers:
    """The channel's best k unseen items for every user of the task.

    Args:
        channel: opened on a part that was built from ``of.interactions``.
        users: bool[U], whom to ask; the others' rows stay empty. None = all.
    """
    item, score = np.zeros((len(of.user), k), np.int32), np.zeros((len(of.user), k), np.float32)
    chosen = np.arange(len(of.user)) if users is None else np.flatnonzero(users)
    with progress(f"asking {channel.name}", len(chosen)) as advance:
        for n, u in enumerate(chosen.tolist()):
            row = int(of.user[u])
            seen = of.seen(row)
            request = FeedRequest(request_id="full ranking", user_id=of.state.users.id(row), n=k)
            batch = channel.fetch(request, of.view(row), k + len(seen))
            new = np.flatnonzero(~np.isin(batch.item, seen))[:k]
            item[u, : len(new)], score[u, : len(new)] = batch.item[new], batch.found[new, 0]
            if n % 500 == 499:
                advance(500)
    return Answers(item, score)


def measure(ranked: Rows, of: Task, seed: int = 0, k: int = K, users: Mask | None = None) -> Quality:
    """Recall@k (hits / held-out items) and NDCG@k (ideal: min(k, held-out items) hits first).

    Args:
        ranked: int32[U, >= k], best first, padded with 0, without the users' training items.
        users: bool[U], over whom to average; None = all.
    """
    chosen = np.arange(len(of.user)) if users is None else np.flatnonzero(users)
    held = [of.held[u] for u in chosen.tolist()]
    recall, ndcg = recall_at(ranked[chosen], held, k), ndcg_at(ranked[chosen], held, k)
    return Quality(bootstrap(recall, seed), bootstrap(ndcg, seed), recall, ndcg)
