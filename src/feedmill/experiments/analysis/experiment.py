"""From the plan and the rollup of a workspace to the report on one experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from feedmill.core.errors import DataError
from feedmill.core.progress import progress
from feedmill.experiments.analysis.compare import ALPHA
from feedmill.experiments.analysis.report import Judging, Look, Metric, Report, decided, judged, looks
from feedmill.experiments.analysis.srm import SampleRatio, sample_ratio
from feedmill.experiments.analysis.stretch import Stretch, day_of, of_experiment
from feedmill.experiments.plan import Plan
from feedmill.experiments.ranges import size
from feedmill.experiments.record import Experiment
from feedmill.metrics.rollup.measures import MEASURES, PER_USER, measure
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.shown import by_arm
from feedmill.metrics.rollup.units import Tried, Units

DAYS_AHEAD = 4  # an experiment nobody planned is tuned to four times the users of its first day
MOST_LOOKS = 60
TESTED_DAYS = 7  # fewer whole days are not a week: weekends differ


def experiment_report(
    plan: Plan, rollup: Rollup, name: str, planned: int | None = None, alpha: float = ALPHA
) -> Report:
    """Everything there is to say of an experiment while it ran.

    Args:
        planned: users of all arms together that somebody stated beforehand.

    Raises:
        NotFoundError: no such experiment, or a metric of its definition that is none.
        DataError: nobody was exposed.
    """
    e = plan.experiment(name)
    what = of_experiment(e, rollup.timezone)
    tried, definition = what.tried(rollup), e.definition
    for metric in definition.metrics:
        measure(metric)
    metrics = [metric_of(m) for m in [*definition.metrics, *(m for m in PER_USER if m not in definition.metrics)]]
    first_day = int((tried.exposed["day"] == tried.first).sum())
    how = Judging(planned or DAYS_AHEAD * first_day, planned is not None, alpha)
    units = {metric.name: units_of(tried, metric.name) for metric in metrics}
    rows, notes = judged(metrics, units, definition.control, how)
    ratio = _ratio(e, tried)
    arms = [arm for arm in e.buckets if arm != definition.control]
    starring = definition.metrics or tuple(m.name for m in metrics if m.is_north_star)
    drawn = [m for m in starring if isinstance(units[m], Units)]
    return Report(
        name=name,
        status=e.status,
        layer=definition.layer,
        control=definition.control,
        since=str(day_of(e.started or e.created, rollup.timezone)),
        why=definition.why,
        timezone=rollup.timezone,
        n_days=(tried.last - tried.first).days + 1,
        planned=int(how.planned),
        sample_ratio=ratio,
        rows=rows,
        series=_series(what, rollup, tried, drawn, arms, definition.control, how),
        catalogue={shown.arm: shown._asdict() for shown in by_arm(rollup, name) if shown.arm in e.buckets},
        verdicts={arm: decided(rows, arm, definition.metrics) for arm in arms},
        notes=[*_beware(tried, ratio), *notes],
    )


def metric_of(name: str) -> Metric:
    """What the analysis needs to know of a measure."""
    of = measure(name)
    return Metric(name, of.words, of.group == "north_star", None if of.better == 0 else of.better > 0)


def units_of(tried: Tried, name: str) -> Units | DataError:
    """A metric's users, or why there are none."""
    if not measure(name).is_per_user:
        return DataError(f"{name} is not a sum over users: no experiment compares it")
    try:
        return tried.units(name)
    except DataError as error:
        return error


def north_stars() -> list[str]:
    """Measures per user that the others give way to."""
    return [m.name for m in MEASURES.values() if m.group == "north_star" and m.is_per_user]


def _ratio(e: Experiment, tried: Tried) -> SampleRatio:
    users = dict(zip(*tried.exposed["arm"].value_counts(sort=True).get_columns(), strict=True))
    shares = {arm: float(size(ranges)) for arm, ranges in e.buckets.items()}
    return sample_ratio(users, shares, int((tried.exposed["n_arms"] > 1).sum()))


def _series(
    what: Stretch, rollup: Rollup, tried: Tried, names: Sequence[str], arms: Sequence[str], control: str, how: Judging
) -> dict[str, list[Look]]:
    days = [tried.first + timedelta(days=k) for k in range((tried.last - tried.first).days + 1)][-MOST_LOOKS:]
    found: dict[str, list[tuple[str, Units]]] = {name: [] for name in names}
    with progress("days of the experiment", total=len(days)) as advance:
        for day in days:
            for name, units in _on(what, rollup, day, names).items():
                found[name].append((str(day), units))
            advance(1)
    seen = {
        f"{name}: {arm}": looks(found[name], arm, control, how.planned, how.alpha) for name in names for arm in arms
    }
    return {key: of for key, of in seen.items() if of}


def _on(what: Stretch, rollup: Rollup, day: date, names: Sequence[str]) -> Mapping[str, Units]:
    try:
        tried = what.tried(rollup, day)
    except DataError:
        return {}
    found = {name: units_of(tried, name) for name in names}
    return {name: units for name, units in found.items() if isinstance(units, Units)}


def _beware(tried: Tried, ratio: SampleRatio) -> list[str]:
    out = []
    if ratio.is_flagged:
        out.append(f"users are not split as planned (p = {ratio.p:.1g}): find out why before you believe any figure")
    if ratio.crossovers:
        out.append(f"{ratio.crossovers} users saw more than one arm; they count for the first")
    n_days = (tried.last - tried.first).days + 1
    if n_days < TESTED_DAYS:
        out.append(f"{n_days} day{'s' * (n_days > 1)} so far: weekdays differ, wait for a whole week")
    return out
