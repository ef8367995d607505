"""How many users an experiment needs, or what it can tell with those it has."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from scipy.special import ndtr, ndtri

from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import ALPHA, differences
from feedmill.experiments.analysis.moments import Products
from feedmill.metrics.rollup.units import Units


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of users nothing is done to."""

    n: int
    value: float  # sum(num) / sum(den)
    variance: float  # of one user's linearised value
    cut: float  # the share of it that CUPED takes off


class Design(Config, frozen=True):
    """How an experiment will be judged."""

    alpha: Annotated[float, Meta(gt=0, lt=1, description="two-sided; divide by the number of arms, if any may win")] = (
        ALPHA
    )
    power: Annotated[float, Meta(gt=0, lt=1, description="the chance to find the effect that is asked for")] = 0.8
    share: Annotated[float, Meta(gt=0, lt=1, description="of all users, in the arm")] = 0.5
    share_control: Annotated[float, Meta(gt=0, lt=1, description="of all users, in the control")] = 0.5
    cuped: Annotated[bool, Meta(description="with what CUPED takes off")] = True


def baseline(units: Units) -> Baseline:
    """Of a log's own users, all arms together.

    Raises:
        DataError: fewer than two users, nothing to divide by, or users all alike.
    """
    one = Products(units).of(np.ones((1, len(units))))
    if len(units) < 2 or not one.mean[0, 1] > 0:
        raise DataError(f"{len(units)} users, and nothing to divide by", "data of the metric", "ask for more days")
    found, plain = (differences(one, one, cuped) for cuped in (True, False))
    variance = float(plain.variance[0]) * len(units)
    if not variance > 0:
        raise DataError("all users alike", "users who differ", "no number of users is too small, or any")
    cut = max(0.0, float(found.cut[0]))
    return Baseline(n=len(units), value=float(plain.mean[0]), variance=variance, cut=cut)


def se(base: Baseline, n: float, design: Design, effect: float = 0.0) -> float:
    """Standard error of the difference with n users, of whom the design's shares are in the two arms.

    An effect is taken to multiply what every user does: the arm's spread grows with its mean.
    """
    variance = base.variance * (1 - base.cut if design.cuped else 1)
    grown = (1 + effect / base.value) ** 2 if base.value else 1.0
    return math.sqrt(variance / n * (grown / design.share + 1 / design.share_control))


def power(base: Baseline, effect: float, n: float, design: Design) -> float:
    """The chance that an absolute effect is told apart from 0, in either direction."""
    z, width = abs(effect) / se(base, n, design, effect), float(-ndtri(design.alpha / 2))
    return float(ndtr(z - width) + ndtr(-z - width))


def least_effect(base: Baseline, n: float, design: Design) -> float:
    """The minimum detectable increase, absolute: found with the design's power.

    That is the effect of so many standard errors, which grow with it; infinite where they grow as fast.
    """
    unit = (_width(design) * se(base, n, design)) ** 2 / (1 / design.share + 1 / design.share_control)
    slope = unit / (design.share * base.value) if base.value else 0.0
    left = 1 - slope / base.value if base.value else 1.0
    if left <= 0:
        return math.inf
    return (slope + math.sqrt(slope**2 + left * unit * (1 / design.share + 1 / design.share_control))) / left


def users(base: Baseline, effect: float, design: Design) -> int:
    """Users, all shares together, with which an absolute effect is found with the design's power.

    Raises:
        DataError: no effect.
    """
    if not (effect and math.isfinite(effect)):
        raise DataError(f"an effect of {effect}", "one that is not 0", "no number of users finds it")
    return math.ceil((_width(design) * se(base, 1.0, design, effect) / effect) ** 2)


def _width(design: Design) -> float:
    return float(ndtri(design.power) - ndtri(design.alpha / 2))


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment on these users could tell by one metric."""

    baseline: Baseline
    design: Design
    effect: float  # absolute
    users: int  # needed to find it
    least_effect: float  # absolute, with the users there are; infinite = they are too few for any
    power: float  # to find the effect with the users there are


def prospect(units: Units, design: Design, relative: float, absolute: float | None = None) -> Prospect:
    """Of a log's own users, as many days as the experiment will last.

    Args:
        relative: effect as a share of the value; ``absolute``, where given, counts instead.

    Raises:
        DataError: as ``baseline`` and ``users``.
    """
    base = baseline(units)
    wanted = relative * base.value if absolute is None else absolute
    return Prospect(
        baseline=base,
        design=design,
        effect=wanted,
        users=users(base, wanted, design),
        least_effect=least_effect(base, base.n, design),
        power=power(base, wanted, base.n, design),
    )
