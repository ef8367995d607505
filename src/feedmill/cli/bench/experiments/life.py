"""A log of users who are experimented on: what they see names its arm, and treated ones watch longer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.experiments.simulated import row
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.events import EventBatch, Kind
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.experiments import lifecycle
from feedmill.experiments.analysis.aa import Rate
from feedmill.experiments.analysis.compare import Effect, effect
from feedmill.experiments.analysis.stretch import of_experiment, of_reverse
from feedmill.experiments.config import HOLDOUT, LAUNCHED, REVERSE, ExperimentsConfig
from feedmill.experiments.definition import Action, Arm, Definition
from feedmill.experiments.plan import Plan
from feedmill.log.memory import MemoryLog
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rows import BenchRow

START_MS, DAY_MS = 1_750_032_000_000, 86_400_000  # a midnight
N_USERS, LIFT, WEEK = 2_000, 0.2, 7
CONFIG = {"layers": {"rerank": {"n_buckets": 1000}}}
DEFINITION = Definition(
    layer="rerank",
    arms={"control": Arm(share=0.5), "treated": Arm(share=0.5, set={"rerank.fusion.weights.like": 2.0})},
    metrics=("time_per_user",),
)


class Life:
    """Days of a feed, one after the other.

    Args:
        log: what is appended to; nothing may be in it.
        seed: of the users' habits and of what they do.
        holdout: share of the users.
    """

    def __init__(self, log: EventLog, n_users: int = N_USERS, seed: int = 0, holdout: float = 0.0) -> None:
        self.log, self.n_days, self.seed = log, 0, seed
        self.plan = Plan.empty(convert({**CONFIG, "holdout": holdout}, ExperimentsConfig))
        draw = rng(seed, "life", "habits")
        self.users = np.array([f"u{k}" for k in range(n_users)])
        self.comes, self.taste = draw.beta(2.0, 2.0, n_users), draw.lognormal(2.0, 0.5, n_users)

    @property
    def now_ms(self) -> int:
        return START_MS + self.n_days * DAY_MS

    def act(self, action: Action) -> None:
        """Append a step, at the midnight before the next day."""
        events, offset = lifecycle.event(lifecycle.settle(self.plan, action), self.now_ms), self.log.end
        self.log.append(events)
        self.plan = self.plan.fold(events, offset)

    def live(self, n_days: int, lift: float = 0.0) -> None:
        """Users come, see three items and watch them, treated ones longer."""
        arms = {
            e.name: self.plan.members(self.users, e.name) for e in self.plan.experiments.values() if _acts(e.status)
        }
        if arms and self.plan.holdout.share:
            arms[HOLDOUT] = self.plan.members(self.users, HOLDOUT)
        factor = np.ones(len(self.users))
        for of in arms.values():
            factor *= np.where(np.isin(of, ("treated", LAUNCHED)), 1 + lift, 1.0)
        payloads = np.array([_payload({n: str(of[k]) for n, of in arms.items() if of[k]}) for k in range(len(factor))])
        for _ in range(n_days):
            self._day(factor, payloads)
            self.n_days += 1

    def _day(self, factor: NDArray[np.float64], payloads: NDArray[np.str_]) -> None:
        draw = rng(self.seed, "life", self.n_days)
        came = np.flatnonzero(draw.random(len(self.users)) < self.comes)
        who = np.repeat(came, 6)  # three impressions, and then what was watched of them
        is_shown = np.tile([True, True, True, False, False, False], len(came))
        seconds = draw.exponential(self.taste[who] * factor[who])
        at = self.now_ms + np.sort(draw.integers(0, DAY_MS - 60_000, len(came)))
        request = np.char.add(self.users[who], f"-{self.n_days}")
        events = {
            "time_ms": np.repeat(at, 6) + np.tile([0, 0, 0, 10_000, 20_000, 30_000], len(came)),
            "kind": np.where(is_shown, int(Kind.IMPRESSION), int(Kind.WATCH)).astype(np.int8),
            "user_id": self.users[who].tolist(),
            "item_id": np.tile(["a", "b", "c"], 2 * len(came)).tolist(),
            "value": np.where(is_shown, 1.0, seconds).astype(np.float32),
            "request_id": request.tolist(),
            "position": np.tile([0, 1, 2, -1, -1, -1], len(came)).astype(np.int16),
            "payload": np.where(is_shown, payloads[who], "").tolist(),
        }
        self.log.append(EventBatch.of(events))


def launched_life(log: EventLog, seed: int, lift: float = LIFT, share: float = 0.3, holdout: float = 0.0) -> Life:
    """A week before, a week of experiment, the roll-out with its reverse bucket, and a week after."""
    life = Life(log, seed=seed, holdout=holdout)
    life.live(WEEK)
    life.act(Action(action="create", name="longer", definition=DEFINITION))
    life.act(Action(action="start", name="longer"))
    life.live(WEEK, lift)
    life.act(Action(action="roll_out", name="longer", arm="treated", share=share))
    life.live(WEEK, lift)
    return life


def reverse_rows(quick: bool) -> list[BenchRow]:
    """The planted effect after the roll-out, launched users against the reverse bucket, through log and rollup."""
    n_runs = 5 if quick else 100
    inside = {"experiment": 0, "reverse bucket": 0}
    found, last = 0, []
    with progress("roll-outs", total=n_runs) as advance:
        for seed in range(n_runs):
            ran, kept = both(seed)
            inside["experiment"] += _holds(ran)
            inside["reverse bucket"] += _holds(kept)
            found += (kept.relative_low or -1) > 0
            last.append(kept.relative or 0.0)
            advance(1)
    what = f"roll-out of {LIFT:+.0%}"
    mean, se = float(np.mean(last)), float(np.std(last, ddof=1) / np.sqrt(n_runs))
    return [
        *(row(what, f"truth in the {name}'s interval", Rate.of(n, n_runs), "runs") for name, n in inside.items()),
        row(what, "reverse bucket is worse", Rate.of(found, n_runs), "runs"),
        BenchRow(
            what=what,
            metric="effect by the reverse bucket",
            value=mean,
            low=mean - 1.96 * se,
            high=mean + 1.96 * se,
            unit=f"mean of {n_runs} runs of {N_USERS:,} users, relative, 95 %",
        ),
    ]


def both(seed: int) -> tuple[Effect, Effect]:
    """time_per_user in the experiment, and afterwards launched against reverse."""
    log = MemoryLog()
    life = launched_life(log, seed)
    with tempfile.TemporaryDirectory() as folder:
        rollup = Rollup(Path(folder))
        rollup.update(log)
        e = life.plan.experiment("longer")
        after = of_reverse(e, rollup.timezone)
        assert after is not None
        return (
            effect(of_experiment(e, rollup.timezone).tried(rollup).units("time_per_user"), "treated", "control"),
            effect(after.tried(rollup).units("time_per_user"), LAUNCHED, REVERSE),
        )


def _acts(status: str) -> bool:
    return status in ("running", "launched")


def _holds(x: Effect) -> bool:
    return x.relative_low is not None and x.relative_high is not None and x.relative_low <= LIFT <= x.relative_high


def _payload(arms: dict[str, str]) -> str:
    return msgspec.json.encode({"version": "", "offset": 0} | ({"experiments": arms} if arms else {})).decode()
