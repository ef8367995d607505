"""Lets one audience after the other live with a feed, all of them the same people in the same world."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from feedmill.cli.simulation.experiment import read_experiment
from feedmill.cli.simulation.losses import Losses
from feedmill.cli.simulation.policies import Policy, opened, parse
from feedmill.cli.simulation.summarise import summarised
from feedmill.cli.simulation.summary import Channel, Experiment, Simulation, Stage
from feedmill.cli.simulation.summary import Policy as Told
from feedmill.cli.simulation.turned import Turned
from feedmill.sim.config import WorldConfig
from feedmill.sim.diary import Diary
from feedmill.sim.feed import Feed
from feedmill.sim.live import live
from feedmill.sim.regret import Regret
from feedmill.sim.world import World

ORACLE = "oracle"
COMPARED = 4000  # slates that are compared with the oracle's at the same moment
STAGED = 1000  # requests of a chain that are followed from stage to stage


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        world: how many there are, and what they are like.
        policies: in the order of the tables; the oracle runs first and stands last.
        treatment: dotted paths -> values of an experiment with the only policy; none = no experiment.
        folder: where everything is kept.
    """

    world: WorldConfig
    policies: Sequence[Policy]
    treatment: Mapping[str, Any]
    n_days: int
    slate: int
    seed: int
    folder: Path


class Runs:
    """The runs of a plan, one at a time, and what is known so far.

    Attributes:
        stopped: Ctrl-C came; what was over by then is kept.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.stopped = plan, False
        self._diaries: dict[str, Diary] = {}
        self._told: dict[str, Told] = {}
        self._stages: dict[str, list[Stage]] = {}
        self._channels: dict[str, list[Channel]] = {}
        self._experiment: Experiment | None = None

    def __iter__(self) -> Iterator[Told]:
        """Runs them; yields each policy as it is over."""
        oracle = parse(ORACLE)
        plan, treated = self.plan, [p.changed(self.plan.treatment) for p in self.plan.policies if self.plan.treatment]
        order = [oracle, *(p for p in plan.policies if p.kind != ORACLE), *treated]
        for k, policy in enumerate(order):
            try:
                yield self._run(policy, base(order[1:k], policy))
            except KeyboardInterrupt:
                self.stopped = True
            if self.stopped:
                return
        if treated:
            self._experiment = self._split(plan.policies[0], treated[0])

    def so_far(self) -> Simulation:
        """Everything that is known."""
        plan = self.plan
        told = [p for p in self._told.values() if p.name != ORACLE]
        n_days = max((len(p.days) for p in self._told.values()), default=plan.n_days)
        return Simulation(
            seed=plan.seed,
            n_days=n_days,
            users=plan.world.n_users,
            videos=plan.world.n_videos,
            slate=plan.slate,
            settled=settled(n_days),
            policies=[*told, *(p for p in self._told.values() if p.name == ORACLE)],
            stages=self._stages,
            channels=self._channels,
            experiment=self._experiment,
        )

    def _run(self, policy: Policy, beside: Policy | None) -> Told:
        plan, began = self.plan, time.perf_counter()
        world = World.make(plan.world, plan.seed)
        regret = Regret(world, plan.seed, min(1.0, COMPARED / asks(plan)))
        with self._opened(policy, world, policy.label) as feed:
            losses = Losses.of(world, feed, plan.slate, settled(plan.n_days), STAGED / asks(plan))
            diary = live(world, feed, plan.n_days, slate=plan.slate, looks=[regret], what=policy.label)
        if losses is not None:
            self._stages[policy.label], self._channels[policy.label] = losses.stages(), losses.channels()
        self.stopped = diary.n_days < plan.n_days
        self._diaries[policy.label] = replace(diary, views=None)  # days are enough to compare with, and small
        write_people(diary, plan.folder / f"{slug(policy.label)}.parquet")
        other = (beside.label, self._diaries[beside.label]) if beside else None
        self._told[policy.label] = summarised(
            policy.label, diary, world, regret.sample(), self._diaries.get(ORACLE), other, settled(diary.n_days),
            time.perf_counter() - began,
        )  # fmt: skip
        return self._told[policy.label]

    def _split(self, control: Policy, treated: Policy) -> Experiment | None:
        """Both arms at once, each on half of the people. Both learn from everybody, as from one log; chains have a log
        each, and learn from their own half."""
        from feedmill.sim.feeds.split import SplitFeed, by_hash

        plan = self.plan
        world = World.make(plan.world, plan.seed)
        arm_of = by_hash(f"experiment {plan.seed}", (0.5, 0.5))
        try:
            with self._opened(control, world, "arm 0") as a, self._opened(treated, world, "arm 1") as b:
                diary = live(
                    world,
                    SplitFeed([a, b], arm_of, "own" if self._has_log else "all"),
                    plan.n_days,
                    slate=plan.slate,
                    what="both at once",
                )
        except KeyboardInterrupt:
            self.stopped = True
            return None
        self.stopped = diary.n_days < plan.n_days
        alone = self._diaries[control.label], self._diaries[treated.label]
        return read_experiment(control.label, plan.treatment, diary, arm_of, alone, self._warm_up)

    @property
    def _has_log(self) -> bool:
        """Whether the policy keeps a log of slates that it gave, and could not make anything of another's."""
        return self.plan.policies[0].kind in ("chain", "http")

    @property
    def _warm_up(self) -> int:
        """Days before the treatment begins, which tell people apart."""
        return self.plan.n_days // 3 if self.plan.treatment and not self._has_log else 0

    @contextmanager
    def _opened(self, policy: Policy, world: World, name: str) -> Iterator[Feed]:
        plan, control = self.plan, self.plan.policies[0] if self.plan.policies else policy
        with ExitStack() as stack:
            feed = stack.enter_context(opened(policy, world, plan.folder / slug(name), plan.slate, plan.seed))
            if self._warm_up and policy.label == control.changed(plan.treatment).label:
                first = stack.enter_context(opened(control, world, plan.folder / slug(name), plan.slate, plan.seed))
                feed = Turned(first, feed, self._warm_up)
            yield feed


def base(before: Sequence[Policy], policy: Policy) -> Policy | None:
    """What a policy is compared with: the first of its kind, or else the one before it."""
    return next((p for p in before if p.kind == policy.kind), before[-1] if before else None)


def asks(plan: Plan) -> float:
    """Slates that are to be expected."""
    return max(1.0, plan.world.n_users * plan.world.views_per_day * plan.n_days / plan.slate)


def settled(n_days: int) -> int:
    """The first day that counts as settled: the second half."""
    return n_days // 2


def slug(text: str) -> str:
    """A name for files."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_people(diary: Diary, file: Path) -> None:
    """A row for each person and day: who wants to compute something else has it all."""
    import polars as pl

    rows = diary.people
    names = ("day", "user", "sessions", "pages", "views", "seconds", "expected")
    pl.DataFrame({name: getattr(rows, name) for name in names}).write_parquet(file)
