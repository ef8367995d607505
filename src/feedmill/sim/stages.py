"""Regret by stage: how many seconds of the best possible slate each stage of the chain gives away.

After every stage of a request, the videos that are left have a best slate: the one that somebody who knows the truth
would make of them. What it is worth falls from stage to stage, from the oracle's own slate, which has the whole
catalogue to choose from, down to the slate that is shown; so the losses of the stages add up to the regret.

    catalogue → retrieval → filters and limit → pre-rank → rank and fusion → re-rank

After fusion the order is fixed: what counts from there on is the first K in their order. A loss below 0 is a gain, such
as re-ranking brings where the ranker does not know of variety. (The best slate is made greedily, so that a stage that
loses nothing may come out a hair below 0 too.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Rows
from feedmill.core.clock import rng
from feedmill.serve.run import Run
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.reach import best_slate
from feedmill.sim.regret import slate_seconds
from feedmill.sim.views import Asks
from feedmill.sim.world import World

STAGES = ("catalogue", "retrieval", "filters", "pre-rank", "rank", "re-rank")
_AFTER = {"retrieval": "merge", "filters": "filter", "pre-rank": "prerank"}  # of Run.after


@dataclass(frozen=True, slots=True, eq=False)
class Regret:
    """What was left after each stage, for n asks.

    Attributes:
        reachable: float32[n, S] seconds of the best slate after each stage of ``STAGES``; the last is what was shown.
        alone: by channel float32[n] seconds of the best slate of what it brought.
        without: by channel float32[n] of what all channels brought but what only this one did.
        day: int32[n] of each ask.
    """

    reachable: NDArray[np.float32]
    alone: dict[str, NDArray[np.float32]]
    without: dict[str, NDArray[np.float32]]
    day: Rows

    def __len__(self) -> int:
        return len(self.reachable)

    @property
    def lost(self) -> NDArray[np.float32]:
        """float32[n, S - 1] seconds that each stage after the catalogue gave away."""
        lost: NDArray[np.float32] = -np.diff(self.reachable, axis=1)
        return lost


class Watch:
    """Looks into a chain while an audience lives with it; put it in ``ChainFeed.watch``.

    Args:
        world: whose truth tells what could have been.
        feed: the chain.
        slate: K.
        share: of the asks that are looked at, drawn by the seed: each costs some milliseconds.
        since_day: days before are not looked at.
    """

    def __init__(
        self, world: World, feed: ChainFeed, *, slate: int = 10, share: float = 0.02, since_day: int = 0, seed: int = 0
    ) -> None:
        self._world, self._feed, self._slate, self._share = world, feed, slate, share
        self._since, self._random = since_day, rng(seed, "stages")
        self._rows: list[list[float]] = []
        self._days: list[int] = []
        self._alone: dict[str, list[float]] = {}
        self._without: dict[str, list[float]] = {}

    def __call__(self, asks: Asks, runs: Sequence[Run]) -> None:
        """Look at a part of some finished runs."""
        looked = np.flatnonzero(self._random.random(len(runs)) < self._share)
        if self._world.day < self._since or not len(looked):
            return
        best = self._world.oracle_slates(asks.take(looked), self._slate)
        for oracle, at in zip(best, looked.tolist(), strict=True):
            self._look(asks.take(np.array([at])), runs[at], oracle)

    def regret(self) -> Regret:
        """Of all that was looked at."""
        reachable = np.array(self._rows, np.float32).reshape(len(self._rows), len(STAGES))
        alone, without = (
            {name: np.array(seconds, np.float32) for name, seconds in of.items()} for of in (self._alone, self._without)
        )
        return Regret(reachable, alone, without, np.array(self._days, np.int32))

    def _look(self, ask: Asks, run: Run, oracle: Rows) -> None:
        if "merge" not in run.after or "fallback" in run.trace.degraded:  # nothing is trained, or nothing was found
            return
        ranked = self._feed.world_rows(run.after["fuse"].item)[: self._slate]
        slate = self._feed.world_rows(run.candidates.item)
        after = [self._best(ask, run.after[_AFTER[stage]].item) for stage in STAGES[1:4]]
        self._rows.append([self._worth(ask, oracle), *after, self._worth(ask, ranked), self._worth(ask, slate)])
        self._days.append(self._world.day)
        for name, alone, without in _by_channel(run.after["merge"]):
            self._alone.setdefault(name, []).append(self._best(ask, alone))
            self._without.setdefault(name, []).append(self._best(ask, without))

    def _best(self, ask: Asks, items: Rows) -> float:
        rows = self._feed.world_rows(items)
        who = int(ask.user[0]), int(ask.time_ms[0]), int(ask.page[0])
        return self._worth(ask, best_slate(self._world.truth, self._world.memory, *who, rows, self._slate))

    def _worth(self, ask: Asks, slate: Rows) -> float:
        return float(slate_seconds(self._world, ask, slate[None])[0][0])


def _by_channel(merged: CandidateBatch) -> list[tuple[str, Rows, Rows]]:
    """Each channel, the items that it brought, and those that some other did."""
    brought = ~np.isnan(merged.found)
    out = []
    for c, name in enumerate(merged.channels):
        others = np.delete(brought, c, axis=1).any(axis=1)
        out.append((name, merged.item[brought[:, c]], merged.item[others]))
    return out
