"""People split among feeds: the two arms of an experiment, and what each arm learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch
from feedmill.experiments.assignment import buckets, hashes
from feedmill.sim.feed import Feed
from feedmill.sim.views import NOTHING, Asks, Slates, Views

ArmOf = Callable[[Rows], Rows]
PARTS = 10_000


def by_hash(salt: str, shares: Sequence[float]) -> ArmOf:
    """World rows of people -> arms, by the hash that experiments use.

    Args:
        shares: of people in each arm, a sum of 1.

    Raises:
        ConfigError: shares below 0, or whose sum is not 1.
    """
    if min(shares, default=-1) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ConfigError(f"shares {list(shares)}", "shares of at least 0 with a sum of 1, such as [0.5, 0.5]")
    ends = np.round(np.cumsum(shares) * PARTS)

    def arm_of(user: Rows) -> Rows:
        bucket = buckets(hashes(user), salt, PARTS)
        return np.searchsorted(ends, bucket, side="right").astype(np.int32)

    return arm_of


class SplitFeed:
    """Each person is answered by the feed of their arm.

    Args:
        feeds: one for each arm.
        arm_of: int32[n] world rows of people -> int32[n] arms; always the same for the same person.
        learns: ``"own"``: each feed is told what became of its own slates; feeds that share a learner learn from
            everybody so. ``"all"``: each feed is told everything, as if it had shown it, and learns on its own.

    Raises:
        ConfigError: no feed.
    """

    def __init__(self, feeds: Sequence[Feed], arm_of: ArmOf, learns: Literal["own", "all"] = "own") -> None:
        if not feeds:
            raise ConfigError("no feed to split people among", "one for each arm")
        self.feeds, self._arm_of, self._learns = tuple(feeds), arm_of, learns
        self._arm: Rows = np.zeros(0, np.int32)

    def arm(self, user: Rows) -> Rows:
        """int32[n] arms of people."""
        n = int(user.max(initial=-1)) + 1
        if n > len(self._arm):
            more = np.arange(len(self._arm), max(n, 2 * len(self._arm)), dtype=np.int32)
            self._arm = np.concatenate([self._arm, self._arm_of(more)])
        return self._arm[user]

    def describe(self, events: EventBatch) -> None:
        """Every feed knows everything and everybody."""
        for feed in self.feeds:
            feed.describe(events)

    def slates(self, asks: Asks) -> Slates:
        """Of each feed, put together; as wide as the widest."""
        arm = self.arm(asks.user)
        rows = [at for a in range(len(self.feeds)) if len(at := np.flatnonzero(arm == a))]
        parts = [self.feeds[arm[at[0]]].slates(asks.take(at)) for at in rows]
        width = max((part.item.shape[1] for part in parts), default=0)
        item = np.full((len(asks), width), NOTHING, np.int32)
        request_id = [""] * len(asks)
        for at, part in zip(rows, parts, strict=True):
            item[at, : part.item.shape[1]] = part.item
            for row, name in zip(at.tolist(), part.request_id, strict=False):
                request_id[row] = name
        return Slates(item, request_id if any(part.request_id for part in parts) else ())

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """To each feed its own, or everything to all."""
        if self._learns == "all":
            for feed in self.feeds:
                feed.take(asks, slates, views)
            return
        arm = self.arm(asks.user)
        for a, feed in enumerate(self.feeds):
            at = np.flatnonzero(arm == a)
            if len(at):
                names = [slates.request_id[row] for row in at.tolist()] if slates.request_id else ()
                feed.take(asks.take(at), Slates(slates.item[at], names), _of(views, at, len(asks)))

    def night(self, day: int) -> None:
        """All of them learn."""
        for feed in self.feeds:
            feed.night(day)


def _of(views: Views, asks: NDArray[np.intp], n: int) -> Views:
    """The views of some asks, which count from 0 again."""
    place = np.full(n, NOTHING, np.int32)
    place[asks] = np.arange(len(asks), dtype=np.int32)
    ask = place[views.ask]
    keep = ask != NOTHING
    kept = {name: getattr(views, name)[keep] for name in ("user", "item", "position", "time_ms", "seconds")}
    return replace(views, ask=ask[keep], reactions=views.reactions[keep], **kept)
