"""What an experiment with a simulated audience says, and what is true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from feedmill.cli.simulation.summary import Bounds, Experiment, Look
from feedmill.core.batches import Rows
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import Effect, effect
from feedmill.metrics.rollup.units import Units
from feedmill.sim import figures
from feedmill.sim.diary import Diary

ARMS = ("control", "treatment")


def read_experiment(
    policy: str,
    treatment: Mapping[str, Any],
    split: Diary,
    arm_of: Callable[[Rows], Rows],
    alone: tuple[Diary, Diary],
    warm_up: int = 0,
) -> Experiment | None:
    """The change of watch time per person, day by day, beside the truth.

    Args:
        split: of the audience in two arms.
        arm_of: world rows of people -> 0 or 1.
        alone: of control and treatment, each with everybody.
        warm_up: days before the treatment began, by which people are told apart (CUPED).

    Returns:
        None where too few came to compare.
    """
    looks = []
    for day in range(warm_up, split.n_days):
        try:
            looks.append(Look(day=day, change=change_of(compared(split, arm_of, warm_up, day))))
        except DataError:
            continue
    try:
        last = compared(split, arm_of, warm_up, split.n_days - 1)
    except DataError:
        return None
    return Experiment(
        policy=policy,
        treatment=dict(treatment),
        people={"control": last.n_control, "treatment": last.n},
        warm_up=warm_up,
        cut=max(last.cut, 0.0),
        change=change_of(last),
        p=last.p,
        looks=looks,
        truth=truth(*alone, warm_up),
    )


def compared(split: Diary, arm_of: Callable[[Rows], Rows], first: int, last: int) -> Effect:
    """Seconds watched per person who came on the days ``first`` to ``last``.

    Raises:
        DataError: an arm with fewer than two people, or nothing watched.
    """
    rows = split.people
    came = np.unique(rows.user[(rows.day >= first) & (rows.day <= last)]).astype(np.int32)
    seconds = figures.per_person(split, "seconds", first, last)[came]
    before = figures.per_person(split, "seconds", 0, first - 1)[came] if first else np.zeros(len(came))
    was_there = np.isin(came, rows.user[rows.day < first]).astype(np.float64)
    return effect(Units(ARMS, arm_of(came), seconds, np.ones(len(came)), before, was_there), ARMS[1], ARMS[0])


def change_of(x: Effect) -> Bounds:
    """Relative; unknown where the control may be 0."""
    return Bounds(x.relative, x.relative_low, x.relative_high)


def truth(control: Diary, treated: Diary, first: int = 0) -> float | None:
    """Relative change of the expected watch time per person who came from a day on, each alone with everybody."""
    means = []
    for diary in (control, treated):
        counts = diary.people.day >= first
        came = len(np.unique(diary.people.user[counts]))
        means.append(diary.people.expected[counts].sum() / max(came, 1))
    return float(means[1] / means[0] - 1) if means[0] > 0 else None
