"""What earlier requests of the same user ranked well and had no room to show."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Part, Rows, Times, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.state import State


class UnshownConfig(Config, frozen=True, kw_only=True):
    """How much is remembered, and for how long."""

    per_user: Annotated[int, Meta(ge=1, le=1000, description="candidates remembered of each user")] = 50
    max_users: Annotated[
        int, Meta(ge=1, le=10_000_000, description="users remembered; those who asked longest ago are forgotten")
    ] = 50_000
    expire_s: Annotated[
        float, Meta(gt=0, description="seconds after which a candidate is forgotten, however often it came up since")
    ] = 3600.0


class Leftovers:
    """Leftovers of requests by user, in this process alone. Threads may share it, and it outlives the channel that
    writes to it: when another artifact is served, its channel goes on with the same memory.

    Rows are those of the living state, which never change their meaning.
    """

    def __init__(self, config: UnshownConfig) -> None:
        self._config, self._lock = config, Lock()
        self._users: OrderedDict[int, tuple[Rows, Floats, Times]] = OrderedDict()

    def __len__(self) -> int:
        """Users remembered."""
        return len(self._users)

    def put(self, user_row: int, items: Rows, scores: NDArray[Any], time_ms: int) -> None:
        """Remember candidates, which replace what was known of them, except since when they are remembered."""
        items, places = _places(items, scores, self._config.per_user)
        times = np.full(len(items), time_ms, np.int64)
        with self._lock:
            old = self._fresh(user_row, time_ms)
            if old is not None:
                known, at, since = np.intersect1d(items, old[0], return_indices=True)
                times[at] = old[2][since]
                left = ~np.isin(old[0], known)
                items = np.concatenate([items, old[0][left]])
                places = np.concatenate([places, old[1][left]])
                times = np.concatenate([times, old[2][left]])
            best = np.lexsort((items, -times, -places))[: self._config.per_user]
            self._users[user_row] = items[best], places[best], times[best]
            self._users.move_to_end(user_row)
            while len(self._users) > self._config.max_users:
                self._users.popitem(last=False)

    def get(self, user_row: int, time_ms: int) -> tuple[Rows, Floats]:
        """What has not expired: item rows and 1 / (1 + place among the leftovers of its request), in no order."""
        with self._lock:
            found = self._fresh(user_row, time_ms)
        return (np.zeros(0, np.int32), np.zeros(0, np.float32)) if found is None else found[:2]

    def _fresh(self, user_row: int, time_ms: int) -> tuple[Rows, Floats, Times] | None:
        """Under the lock. Arrays are replaced and never changed, so that they may be handed out."""
        found = self._users.get(user_row)
        if found is None:
            return None
        fresh = np.abs(time_ms - found[2]) <= self._config.expire_s * 1000
        return found[0][fresh], found[1][fresh], found[2][fresh]


class UnshownChannel:
    """The user's leftovers, best place first; not what has been shown since.

    Ranking again costs less than finding again, and what ranked 31st a minute ago is likely good now. Nobody (row 0)
    is many people and is not remembered.

    Args:
        name: the channel's name.
        config: see UnshownConfig.
        part: empty: it is filled by ``remember``, after each request.
        state: tells what is available.
        memory: of the channel before this one; None = an empty one.
    """

    Config = UnshownConfig
    learns = False
    Memory = Leftovers

    def __init__(
        self, name: str, config: UnshownConfig, part: Part, state: State, *, memory: Leftovers | None = None
    ) -> None:
        self.name, self._state = name, state
        self.memory = Leftovers(config) if memory is None else memory

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: UnshownConfig, seed: int) -> Part:
        """Nothing is learnt."""
        return Part("unshown", msgspec.to_builtins(config), {})

    def remember(self, user_row: int, items: Rows, scores: NDArray[Any], time_ms: int) -> None:
        """Take in the candidates of a request that were ranked and not shown.

        Args:
            items: int32[n] distinct.
            scores: float[n], what they were ranked by. Only their order is kept: the next model may have another scale.
            time_ms: of the request.
        """
        if user_row > 0 and len(items):
            self.memory.put(user_row, items, scores, time_ms)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """At most ``limit``; none for a user who has not asked of late."""
        items, places = self.memory.get(int(user.row[0]), int(user.time_ms[0]))
        available = self._state.catalogue.available
        fits = items < len(available)
        fits[fits] = available[items[fits]]
        fits &= ~np.isin(items, user.recent("shown"))
        items, places = items[fits], places[fits]
        best = np.lexsort((items, -places))[: max(limit, 0)]
        return CandidateBatch.of(self.name, items[best], places[best])


def _places(items: Rows, scores: NDArray[Any], most: int) -> tuple[Rows, Floats]:
    """The best ``most`` and 1, 1/2, 1/3, …"""
    order = np.lexsort((items, -np.asarray(scores, np.float64)))[:most]
    return np.asarray(items, np.int32)[order], (1 / (1 + np.arange(len(order)))).astype(np.float32)
