"""Where a chain loses watch time, stage by stage, and what each of its channels is good for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.simulation.summary import Channel, Figure, Stage, figure
from feedmill.sim.feed import Feed
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.stages import STAGES, Watch
from feedmill.sim.world import World


class Losses:
    """What a ``sim.stages.Watch`` has seen, as shares of the oracle's slates."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @classmethod
    def of(cls, world: World, feed: Feed, slate: int, since_day: int, share: float) -> Losses | None:
        """Follows a share of the requests of a chain from a day on; None where the feed is none."""
        if not isinstance(feed, ChainFeed):
            return None
        feed.watch = Watch(world, feed, slate=slate, share=min(1.0, share), since_day=since_day, seed=world.seed)
        return cls(feed.watch)

    def stages(self) -> list[Stage]:
        """In their order, from the whole catalogue on; nothing where no request was followed."""
        found = self._watch.regret()
        if not len(found):
            return []
        return [Stage(name=name, left=_share(found.reachable[:, s], found.reachable)) for s, name in enumerate(STAGES)]

    def channels(self) -> list[Channel]:
        """By name of the channel."""
        found = self._watch.regret()
        return [
            Channel(
                name=name,
                alone=_share(found.alone[name], found.reachable),
                without=_share(found.without[name], found.reachable),
            )
            for name in sorted(found.alone)
        ]


def _share(seconds: NDArray[np.float32], reachable: NDArray[np.float32]) -> Figure:
    """Of all requests, those that a channel brought nothing for included."""
    oracle = float(reachable[:, 0].sum())
    return figure(float(seconds.sum()) / oracle) if oracle else None
