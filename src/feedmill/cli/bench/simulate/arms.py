"""Experiments with a simulated audience: both arms at once, and each alone, from one and the same morning on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.metrics.rollup.units import Units
from feedmill.sim import figures
from feedmill.sim.config import WorldConfig
from feedmill.sim.diary import Diary
from feedmill.sim.feeds.fast.config import FastConfig, LearnerConfig
from feedmill.sim.feeds.fast.feed import FastFeed
from feedmill.sim.feeds.fast.learner import Learner
from feedmill.sim.feeds.split import SplitFeed, by_hash
from feedmill.sim.live import live
from feedmill.sim.world import World

ARMS = ("control", "treated")
TICK_S = 1800.0
Learning = Literal["frozen", "own", "shared"]
"""What the arms do with what they see: nothing, each learns from its own people, or one learner for both."""


class Design(NamedTuple):
    """How large an experiment is."""

    users: int
    videos: int
    before: int  # days that the audience lives with the control; their watch time is the covariate
    during: int


@dataclass(frozen=True, slots=True, eq=False)
class Morning:
    """The moment at which an experiment begins; nothing here is changed by one.

    Attributes:
        world: as the days before have left it.
        feed: the control, which everybody has had until now.
        before: those days.
        seed: of the world, and of the people's assignment.
    """

    world: World
    feed: FastFeed
    before: Diary
    during: int
    seed: int


def morning(design: Design, seed: int) -> Morning:
    """Let an audience live with the control."""
    world = World.make(WorldConfig(n_users=design.users, n_videos=design.videos), seed)
    feed = FastFeed(FastConfig(), Learner(LearnerConfig(learn="nightly", first_fit=2000), seed), seed)
    before = live(world, feed, design.before, keep=False, tick_s=TICK_S, what="")
    return Morning(world, feed, before, design.during, seed)


def alone(at: Morning, learning: Learning, change: dict[str, Any] | None = None) -> Diary:
    """Everybody in one arm: the control, or with a change of it."""
    return _live(at, _arms(at, "frozen" if learning == "frozen" else "own", change or {})[1])


def split(at: Morning, learning: Learning, change: dict[str, Any], salt: int) -> tuple[Diary, Rows]:
    """Half of the people in each arm.

    Returns:
        The diary, and int32[N] the arm of each person.
    """
    arm_of = by_hash(f"experiment {at.seed} {salt}", (0.5, 0.5))
    diary = _live(at, SplitFeed(_arms(at, learning, change), arm_of))
    return diary, arm_of(np.arange(len(diary.joined_day), dtype=np.int32))


def units(at: Morning, diary: Diary, arm: Rows, *, is_ratio: bool = False) -> Units:
    """What the house's analysis reads: everybody who came, seconds (by views), and the same of the days before."""
    came = np.unique(diary.people.user)
    n = len(diary.joined_day)
    seconds, views = (figures.per_person(diary, of)[came] for of in ("seconds", "views"))
    old = [_longer(figures.per_person(at.before, of), n)[came] for of in ("seconds", "views")]
    was_there = _longer(figures.per_person(at.before, "pages") > 0, n)[came].astype(np.float64)
    den, den_before = (views, old[1]) if is_ratio else (np.ones(len(came)), was_there)
    return Units(ARMS, arm[came], seconds, den, old[0], den_before)


def truth(control: Diary, treated: Diary, *, is_ratio: bool = False) -> float:
    """Relative difference of seconds per person who came, or per view, with everybody in each arm."""
    level = []
    for diary in (control, treated):
        den = figures.per_person(diary, "views").sum() if is_ratio else len(np.unique(diary.people.user))
        level.append(figures.per_person(diary, "seconds").sum() / den)
    return float(level[1] / level[0] - 1)


def apart(pair: tuple[Diary, Diary], arm: Rows, *, is_ratio: bool = False) -> float:
    """What an assignment would show if neither arm felt the other: each person as where everybody is in that arm."""
    level = []
    for k, diary in enumerate(pair):
        came = np.unique(diary.people.user)
        mine = came[arm[came] == k]
        den = figures.per_person(diary, "views")[mine].sum() if is_ratio else len(mine)
        level.append(figures.per_person(diary, "seconds")[mine].sum() / den)
    return float(level[1] / level[0] - 1)


def _arms(at: Morning, learning: Learning, change: dict[str, Any]) -> tuple[FastFeed, FastFeed]:
    learners = [copy.deepcopy(at.feed.learner) for _ in range(1 if learning == "shared" else 2)]
    for learner in learners:
        if learning == "frozen":
            learner.freeze()
    configs = (at.feed.config, msgspec.structs.replace(at.feed.config, **change))
    a, b = (
        at.feed.beside(config, learner) for config, learner in zip(configs, (learners[0], learners[-1]), strict=True)
    )
    return a, b


def _live(at: Morning, feed: FastFeed | SplitFeed) -> Diary:
    return live(copy.deepcopy(at.world), feed, at.during, keep=False, tick_s=TICK_S, what="")


def _longer(x: NDArray[Any], n: int) -> NDArray[Any]:
    return np.pad(x, (0, max(0, n - len(x))))
