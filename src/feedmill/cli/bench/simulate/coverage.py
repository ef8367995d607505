"""Do the intervals of the house's analysis hold the truth, which is known here: both arms alone in the same world."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from feedmill.cli.bench.simulate.arms import Design, Learning, alone, apart, morning, split, truth, units
from feedmill.cli.bench.simulate.rows import over, plain
from feedmill.core.batches import Rows
from feedmill.core.progress import progress
from feedmill.experiments.analysis.aa import Rate
from feedmill.experiments.analysis.compare import Effect, effect
from feedmill.metrics.rows import BenchRow
from feedmill.sim import figures
from feedmill.sim.diary import Diary

VARIETY, QUOTA = "slates by rank alone", "two slots for new videos"
CHANGES: Mapping[str, dict[str, Any]] = {
    VARIETY: {"repeat_strength": 0.0, "author_window": 0, "topic_window": 0},
    QUOTA: {"explore_slots": 2},
}


class Planted(NamedTuple):
    """A change of the control, how the arms learn, and in how many assignments of each world it is tried."""

    change: str
    learning: Learning
    n_salts: int


PLANTED = (
    Planted(VARIETY, "frozen", 10),
    Planted(VARIETY, "own", 10),
    Planted(VARIETY, "shared", 5),
    Planted(QUOTA, "own", 5),
    Planted(QUOTA, "shared", 5),
)
WORDS: Mapping[Learning, str] = {
    "frozen": "frozen models",
    "own": "each arm learns on its own",
    "shared": "one learner for both",
}
METRICS = {"seconds per person": False, "seconds per view": True}
DESIGN, QUICK = Design(300, 600, 5, 3), Design(100, 100, 2, 2)
N_WORLDS = 40


class Found(NamedTuple):
    """One experiment by one metric, plain and with CUPED, beside the truth; relative differences.

    ``apart`` is what the same people in the same arms would have shown if each arm had been alone.
    """

    world: int
    plain: Effect
    cuped: Effect
    truth: float
    apart: float


class Trials:
    """The experiments of one world, and what each arm does alone.

    Attributes:
        took_s: of the last experiment.
        alike: share of its people who watch as if everybody were in their arm.
    """

    def __init__(self, design: Design, seed: int) -> None:
        self._at, self._seed = morning(design, seed), seed
        self._alone: dict[tuple[bool, str], Diary] = {}
        self.took_s = self.alike = 0.0

    def alone(self, planted: Planted) -> tuple[Diary, Diary]:
        """Control and treated, each with everybody; lived once."""
        out = []
        for change in ("", planted.change):
            key = planted.learning == "frozen", change
            if key not in self._alone:
                self._alone[key] = alone(self._at, planted.learning, CHANGES.get(change))
            out.append(self._alone[key])
        return out[0], out[1]

    def run(self, planted: Planted, salt: int) -> dict[str, Found]:
        """One assignment, by each metric."""
        pair = self.alone(planted)
        began = time.perf_counter()
        diary, arm = split(self._at, planted.learning, CHANGES[planted.change], salt)
        self.took_s, self.alike = time.perf_counter() - began, same_as_alone(diary, arm, pair)
        out = {}
        for metric, is_ratio in METRICS.items():
            of = units(self._at, diary, arm, is_ratio=is_ratio)
            plainly, cuped = (effect(of, "treated", "control", cuped=use) for use in (False, True))
            known = truth(*pair, is_ratio=is_ratio), apart(pair, arm, is_ratio=is_ratio)
            out[metric] = Found(self._seed, plainly, cuped, *known)
        return out


def coverage_rows(quick: bool, planted: Sequence[Planted] = PLANTED) -> list[BenchRow]:
    """Coverage, bias and width of the intervals by what was changed and how the arms learn."""
    design, n_worlds = (QUICK, 2) if quick else (DESIGN, N_WORLDS)
    chosen = [p._replace(n_salts=2) for p in planted] if quick else list(planted)
    found: dict[Planted, list[dict[str, Found]]] = {p: [] for p in chosen}
    took_s, alike, together = ({p: list[float]() for p in chosen} for _ in range(3))
    with progress("experiments", n_worlds * sum(p.n_salts for p in chosen)) as advance:
        for seed in range(n_worlds):
            trials = Trials(design, seed)
            for p in chosen:
                together[p].append(correlation(*trials.alone(p)))
                for salt in range(p.n_salts):
                    found[p].append(trials.run(p, salt))
                    took_s[p].append(trials.took_s)
                    alike[p].append(trials.alike)
                    advance(1)
    size = f"{design.users} people, {design.videos} videos, {design.before} + {design.during} days"
    out = [plain("coverage", "worlds", n_worlds, size)]
    for p in chosen:
        what = name_of(p, "")
        out.append(plain(what, "seconds a run", float(np.mean(took_s[p])), "s"))
        out.append(plain(what, "people who watch as alone", float(np.mean(alike[p])), "share"))
        out.append(over(what, "correlation of the arms", together[p], "person by person"))
        out += [row for metric in METRICS for row in told(name_of(p, metric), [x[metric] for x in found[p]])]
    return out


def name_of(planted: Planted, metric: str) -> str:
    """As rows have it."""
    return f"coverage: {planted.change}, {WORDS[planted.learning]}" + (f", {metric}" if metric else "")


def told(what: str, found: Sequence[Found]) -> list[BenchRow]:
    """Rows of experiments of one kind; what is known of worlds is one figure for each of them."""
    n = len(found)
    out = [over(what, "true effect", _by_world(found, [x.truth for x in found]), "relative")]
    for how in ("plain", "CUPED"):
        effects = [x.cuped if how == "CUPED" else x.plain for x in found]
        held = Rate.of(sum(holds(e, x.truth) for e, x in zip(effects, found, strict=True)), n)
        out.append(
            BenchRow(what=what, metric=f"truth in the interval, {how}", value=held.share, low=held.low, high=held.high,
                     unit=f"share of {n} runs, 95 % Clopper-Pearson")
        )  # fmt: skip
        off = [(e.relative or 0.0) - x.truth for e, x in zip(effects, found, strict=True)]
        out.append(over(what, f"estimate less truth, {how}", _by_world(found, off), "relative"))
        out.append(
            over(what, f"width, {how}", _by_world(found, list(map(width, effects))), "of the interval, relative")
        )
    moved = [(x.plain.relative or 0.0) - x.apart for x in found]
    out.append(over(what, "moved by the other arm", _by_world(found, moved), "relative"))
    narrower = [1 - width(x.cuped) / width(x.plain) for x in found]
    out.append(over(what, "narrower by CUPED", _by_world(found, narrower), "share of the width"))
    return out


def holds(x: Effect, truth: float) -> bool:
    """Whether its interval does."""
    return x.relative_low is not None and x.relative_high is not None and x.relative_low <= truth <= x.relative_high


def width(x: Effect) -> float:
    """Of its relative interval; NaN where there is none."""
    known = x.relative_low is not None and x.relative_high is not None
    return x.relative_high - x.relative_low if known else float("nan")  # type: ignore[operator]


def same_as_alone(diary: Diary, arm: Rows, pair: tuple[Diary, Diary]) -> float:
    """Share of people whose watch time is what it is where everybody is in their arm."""
    mine, *theirs = (figures.per_person(d, "seconds") for d in (diary, *pair))
    return float((mine == np.where(arm > 0, theirs[1], theirs[0])).mean())


def correlation(control: Diary, treated: Diary) -> float:
    """Of people's watch time in one arm with the same people's in the other."""
    a, b = (figures.per_person(d, "seconds") for d in (control, treated))
    return float(np.corrcoef(a, b)[0, 1])


def _by_world(found: Sequence[Found], values: Sequence[float]) -> list[float]:
    """Means: runs of one world are not independent."""
    world = np.array([x.world for x in found])
    return [float(np.mean(np.asarray(values)[world == w])) for w in np.unique(world)]
