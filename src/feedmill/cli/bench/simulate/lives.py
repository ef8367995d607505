"""One audience with one policy, as `feedmill simulate` has it, and what is looked at meanwhile."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from feedmill.cli.simulation.policies import opened, parse
from feedmill.sim import figures
from feedmill.sim.config import WorldConfig
from feedmill.sim.diary import Diary
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.live import live
from feedmill.sim.regret import Regret, Sample
from feedmill.sim.stages import Regret as Losses
from feedmill.sim.stages import Watch
from feedmill.sim.world import World

SLATE = 10
COMPARED, STAGED = 3000, 1000  # slates beside the oracle's; requests of a chain that are followed from stage to stage


class Size(NamedTuple):
    """How large a life is; ``settled`` = its last days, which are what is measured."""

    users: int
    videos: int
    days: int
    settled: int

    @property
    def first(self) -> int:
        """The first settled day."""
        return self.days - self.settled

    @property
    def config(self) -> WorldConfig:
        """The default world of this size."""
        return WorldConfig(n_users=self.users, n_videos=self.videos)

    def sampled(self, wanted: int) -> float:
        """The share of the settled days' asks that is ``wanted`` of them."""
        return min(1.0, wanted * SLATE / (self.users * self.config.views_per_day * self.settled))

    def __str__(self) -> str:
        return f"{self.users:,} people, {self.videos:,} videos, {self.days} days"


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """What became of it.

    Attributes:
        diary: without its views unless they were asked for.
        now: slates of the settled days beside the oracle's.
        losses: of a chain, by stage, on settled days.
        run_s: wall time.
    """

    diary: Diary
    now: Sample
    losses: Losses | None
    run_s: float

    def minutes(self, first: int) -> float:
        """Watched a day by a person who ever came, from a day on."""
        n_people = len(np.unique(self.diary.people.user))
        return (
            float(figures.per_person(self.diary, "seconds", first).sum()) / 60 / n_people / (self.diary.n_days - first)
        )


def lived(label: str, size: Size, seed: int, *, keep: bool = False) -> Life:
    """A whole life, from an audience that no feed knows on.

    Args:
        label: of a policy, as `feedmill simulate --policy` takes it.
        keep: the diary has every view.
    """
    began = time.perf_counter()
    policy, world = parse(label), World.make(size.config, seed)
    regret = Regret(world, seed, size.sampled(COMPARED))
    late = [lambda day, asks, slates: regret(day, asks, slates) if day >= size.first else None]
    with tempfile.TemporaryDirectory() as folder, opened(policy, world, Path(folder) / "chain", SLATE, seed) as feed:
        watch = None
        if isinstance(feed, ChainFeed):
            share = size.sampled(STAGED)
            feed.watch = watch = Watch(world, feed, slate=SLATE, share=share, since_day=size.first, seed=seed)
        diary = live(world, feed, size.days, slate=SLATE, keep=keep, looks=late, what=f"{label}, world {seed}")
        losses = watch.regret() if watch else None
    if diary.n_days < size.days:
        raise KeyboardInterrupt
    return Life(diary, regret.sample(), losses, time.perf_counter() - began)
