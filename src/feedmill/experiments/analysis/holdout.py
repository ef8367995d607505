"""What all launches of a period did together, beside the sum of what their experiments had promised.

The holdout sees none of them; everyone else sees all. Launches measured one by one can add up to more than that:
effects overlap, fade with novelty, and the launched are those that looked best (the winner's curse; Lee and Shen, KDD
2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from scipy.special import ndtr, ndtri

from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import ALPHA, Effect, effect
from feedmill.experiments.analysis.experiment import units_of
from feedmill.experiments.analysis.srm import sample_ratio
from feedmill.experiments.analysis.stretch import Stretch, of_experiment, of_holdout, of_reverse
from feedmill.experiments.config import LAUNCHED, REVERSE
from feedmill.experiments.plan import Plan
from feedmill.experiments.record import Experiment, Launch
from feedmill.metrics.rollup.measures import measure
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import Tried


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """One launch by one metric.

    Attributes:
        reverse: share of users in the reverse bucket, who do not have it.
        measured: arm against control, in its experiment; None = it could not be compared.
        kept: launched against the reverse bucket, since that was opened; None = there is none, or nobody in it yet.
    """

    name: str
    arm: str
    reverse: float
    measured: Effect | None
    kept: Effect | None
    notes: list[str] = []


class HoldoutReport(msgspec.Struct, frozen=True, kw_only=True):
    """One metric. Relative effects: those of several launches and of other users add up, absolute ones do not.

    Attributes:
        effect: everyone else against the holdout, per user, since all are launched.
        promised: the sum of what the launches' experiments measured, each less the users of its reverse bucket, with
            its interval; None = one of them could not be measured.
        p: of the difference between both; None = one of them is missing.
    """

    metric: str
    title: str
    effect: Effect
    launches: list[Launched]
    promised: float | None
    promised_low: float | None
    promised_high: float | None
    p: float | None


def holdout_report(
    metric: str, title: str, whole: Effect, of: Sequence[Launched], alpha: float = ALPHA
) -> HoldoutReport:
    """Everyone else against the holdout, beside the sum of the launches' own effects, taken as independent."""
    own = [(x.measured, 1 - x.reverse) for x in of if x.measured is not None]
    spreads = [part * relative_se(x, alpha) for x, part in own]
    total: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    if own and len(own) == len(of) and all(x.relative is not None for x, _ in own):
        total = math.fsum(part * (x.relative or 0.0) for x, part in own)
        se = math.sqrt(math.fsum(s * s for s in spreads))
        width = float(-ndtri(alpha / 2)) * se
        low, high = total - width, total + width
        if whole.relative is not None:
            gap = math.hypot(se, relative_se(whole, alpha))
            p = float(2 * ndtr(-abs(whole.relative - total) / gap))
    return HoldoutReport(
        metric=metric,
        title=title,
        effect=whole,
        launches=list(of),
        promised=total,
        promised_low=low,
        promised_high=high,
        p=p,
    )


def relative_se(x: Effect, alpha: float = ALPHA) -> float:
    """Standard error of a relative effect, from the width of its interval; infinite where there is none."""
    if x.relative_low is None or x.relative_high is None:
        return math.inf
    return (x.relative_high - x.relative_low) / (2 * float(-ndtri(alpha / 2)))


def launches(plan: Plan) -> list[tuple[Experiment, Launch]]:
    """Those of the holdout's period that are not taken back, in the order of launching."""
    found = [(e, e.launch) for e in plan.experiments.values() if e.status == "launched" and e.launch is not None]
    return sorted(((e, x) for e, x in found if x.period == plan.holdout.period), key=lambda of: of[1].order)


def of_period(plan: Plan, rollup: Rollup, metrics: Sequence[str]) -> tuple[list[HoldoutReport], list[str]]:
    """The report of each metric, and a sentence for each that has none.

    Raises:
        DataError: there is no holdout, no launch in its period, or nobody was exposed since.
        NotFoundError: a metric that is none.
    """
    if not plan.holdout.share:
        fix = "set experiments.holdout, such as 0.1, before the first experiment"
        raise DataError("there is no holdout", "a share of the users who get nothing new", fix)
    of = launches(plan)
    if not of:
        raise DataError("nothing was launched in this period of the holdout", "a launch", "roll one out")
    tried = of_holdout([launch for _, launch in of], rollup.timezone).tried(rollup)
    reports, notes = [], _split(plan, tried)
    for metric in metrics:
        words, units = measure(metric).words, units_of(tried, metric)
        try:
            if isinstance(units, DataError):
                raise units
            whole = effect(units, "out", "in")
        except DataError as error:
            notes.append(error.given)
            continue
        reports.append(holdout_report(metric, words, whole, [_launched(*x, rollup, metric) for x in of]))
    return reports, notes


def _split(plan: Plan, tried: Tried) -> list[str]:
    """A sentence if the holdout has not its share of the users."""
    users = dict(zip(*tried.exposed["arm"].value_counts(sort=True).get_columns(), strict=True))
    ratio = sample_ratio(users, {"in": plan.holdout.share, "out": 1 - plan.holdout.share})
    if not ratio.is_flagged:
        return []
    there = f"{ratio.users['in']:,} in the holdout, {ratio.expected['in']:,.0f} expected"
    return [f"{there} (p = {ratio.p:.1g}): find out why before you believe any figure"]


def _launched(e: Experiment, launch: Launch, rollup: Rollup, metric: str) -> Launched:
    notes: list[str] = []
    ran, back = of_experiment(e, rollup.timezone), of_reverse(e, rollup.timezone)
    measured = _effect(ran, rollup, metric, launch.arm, e.definition.control, notes)
    kept = None if back is None else _effect(back, rollup, metric, LAUNCHED, REVERSE, notes)
    return Launched(name=e.name, arm=launch.arm, reverse=launch.share, measured=measured, kept=kept, notes=notes)


def _effect(what: Stretch, rollup: Rollup, metric: str, arm: str, control: str, notes: list[str]) -> Effect | None:
    try:
        return effect(what.tried(rollup).units(metric), arm, control)
    except DataError as error:
        notes.append(error.given)
        return None
