"""One experiment, judged: every metric of every arm against the control, and what to make of it in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import ALPHA, Effect, of_moments
from feedmill.experiments.analysis.discovery import q_values
from feedmill.experiments.analysis.moments import Moments, of_arms
from feedmill.experiments.analysis.sequential import Always, any_look
from feedmill.experiments.analysis.srm import SampleRatio
from feedmill.metrics.rollup.units import Units

BETTER, WORSE, UNSURE = "better", "worse", "not sure"


class Metric(NamedTuple):
    """What is known of a metric besides its numbers."""

    name: str
    title: str = ""
    is_north_star: bool = False
    more_is_better: bool | None = True  # None = neither: it is shown, and decides nothing


class Judging(NamedTuple):
    """How rows are judged.

    Attributes:
        planned: users, of all arms, at which sequential intervals are tightest.
        is_planned: somebody stated that number beforehand. Then, once it is reached, the fixed interval decides.
    """

    planned: float
    is_planned: bool = False
    alpha: float = ALPHA


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm. The plain interval is for one look at the planned end, the sequential for any number."""

    metric: str
    title: str
    is_north_star: bool
    more_is_better: bool | None
    effect: Effect
    always: Always
    is_final: bool  # the plain interval decides
    q: float = 1.0  # of the p-value that decides, among all rows
    verdict: str = UNSURE


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The same at the end of one day, from the start on."""

    day: str
    users: dict[str, int]  # by arm, so far
    effect: Effect
    always: Always
    p: float  # always valid, of all looks up to this one


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to say. ``notes`` are sentences: metrics that have no data, and what to beware of."""

    name: str
    status: str
    layer: str
    control: str
    since: str
    why: str
    timezone: str
    n_days: int
    planned: int
    sample_ratio: SampleRatio
    rows: list[Row]
    series: dict[str, list[Look]]  # by "metric: arm"
    verdicts: dict[str, str]  # of each arm, a sentence
    notes: list[str]
    catalogue: dict[str, dict[str, Any]] = {}
    """arm -> how its impressions fall on the catalogue (``metrics.rollup.shown.Shown``)."""


def judged(
    metrics: Iterable[Metric], units: Mapping[str, Units | DataError], control: str, how: Judging
) -> tuple[list[Row], list[str]]:
    """Rows with their verdicts, arm by arm, and a sentence for each that could not be made."""
    found, notes, without = list[Row](), list[str](), dict[str, list[str]]()
    for metric in metrics:
        of = units[metric.name]
        if isinstance(of, DataError):
            without.setdefault(of.given.rpartition(": ")[2], []).append(metric.name)
            continue
        groups = of_arms(of)
        for arm in of.arms:
            if arm != control:
                try:
                    found.append(_row(metric, of, groups, arm, control, how))
                except DataError as error:
                    notes.append(f"{metric.name}: {error.given}")
    q = q_values([row.effect.p if row.is_final else row.always.p for row in found])
    rows = [
        msgspec.structs.replace(row, q=float(x), verdict=verdict(row, float(x), how.alpha))
        for row, x in zip(found, q, strict=True)
    ]
    return rows, [*notes, *(f"{why}: no data for {', '.join(names)}" for why, names in without.items())]


def verdict(row: Row, q: float, alpha: float = ALPHA) -> str:
    """A word for one row."""
    if q > alpha or row.more_is_better is None:
        return UNSURE if q > alpha else "different"
    return BETTER if (row.effect.difference > 0) == row.more_is_better else WORSE


def decided(rows: Sequence[Row], arm: str, metrics: Sequence[str]) -> str:
    """A sentence on one arm. When metrics disagree, the north star wins.

    Args:
        metrics: that decide, as the experiment names them; none = all.
    """
    own = [r for r in rows if r.effect.arm == arm and (not metrics or r.metric in metrics or r.is_north_star)]
    stars = _words([r for r in own if r.is_north_star])
    others = _words([r for r in own if not r.is_north_star])
    if not own:
        return "no metric has data"
    if stars[BETTER] and stars[WORSE]:
        return f"{UNSURE}: the north star is divided, {stars[BETTER]} better and {stars[WORSE]} worse"
    for word, other in ((BETTER, WORSE), (WORSE, BETTER)):
        if stars[word]:
            against = f"; {others[other]} {other}, but the north star wins" if others[other] else ""
            return f"{word}: {stars[word]}{against}"
    if others[BETTER] and others[WORSE]:
        return f"{UNSURE}: {others[BETTER]} better, {others[WORSE]} worse, and the north star says neither"
    for word in (BETTER, WORSE):
        if others[word]:
            return f"{word}: {others[word]}; the north star is not told apart"
    return f"{UNSURE}: nothing is told apart from the control"


def looks(
    days: Sequence[tuple[str, Units]], arm: str, control: str, planned: float, alpha: float = ALPHA
) -> list[Look]:
    """One metric of one arm at the end of each day; days on which it cannot be compared yet are left out."""
    seen: list[tuple[str, dict[str, int], Effect]] = []
    for day, units in days:
        if not {arm, control} <= set(units.arms):
            continue
        groups = of_arms(units)
        try:
            x = of_moments(groups[units.arms.index(arm)], groups[units.arms.index(control)], arm, control, alpha)
        except DataError:
            continue
        seen.append((day, {name: int(n) for name, n in zip(units.arms, groups.n, strict=True)}, x))
    p, out = 1.0, []
    for day, users, x in seen:
        always = any_look(x, sum(users.values()) / planned, alpha)
        p = min(p, always.p)
        out.append(Look(day=day, users=users, effect=x, always=always, p=p))
    return out


def _row(metric: Metric, units: Units, groups: Moments, arm: str, control: str, how: Judging) -> Row:
    if control not in units.arms:
        raise DataError(f'nobody saw the control "{control}"', "exposures of both arms")
    x = of_moments(groups[units.arms.index(arm)], groups[units.arms.index(control)], arm, control, how.alpha)
    return Row(
        metric=metric.name,
        title=metric.title or metric.name,
        effect=x,
        is_north_star=metric.is_north_star,
        more_is_better=metric.more_is_better,
        always=any_look(x, len(units) / how.planned, how.alpha),
        is_final=how.is_planned and len(units) >= how.planned,
    )


def _words(rows: Sequence[Row]) -> dict[str, str]:
    """Names of the metrics by verdict."""
    out = {}
    for word in (BETTER, WORSE):
        out[word] = ", ".join(dict.fromkeys(r.title for r in rows if r.verdict == word))
    return out
