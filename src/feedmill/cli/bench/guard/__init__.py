"""What the guard is worth: a learner's predictions through a damaged stream, time to detect, false alarms, rivals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.guard.month import DAY, Month, Watcher, alarms, broken, month, watchers
from feedmill.cli.bench.guard.runs import STEP_MIN, Seen, lived
from feedmill.cli.bench.guard.twice import BETWEEN, FIRSTS, WAYS, delay, primed
from feedmill.cli.bench.guard.world import DAMAGES, HALF, STOP, Damage, Plan
from feedmill.core.progress import progress
from feedmill.metrics.classification import normalized_entropy
from feedmill.metrics.rows import BenchRow

WHAT = "guard"
WITHOUT, WITH = "without", "with"
NONE: Damage = "none"


def guard_rows(quick: bool) -> list[BenchRow]:
    """Through the real joiner and learner first; then a month of windows."""
    n_seeds, n_months, n_days = (1, 1, 7) if quick else (5, 5, 30)
    return [*stream_rows(n_seeds, Plan()), *month_rows(n_months, n_days), *twice_rows(n_months)]


def _row(what: str, metric: str, values: Sequence[float], unit: str) -> BenchRow:
    """The mean over seeds, with the least and the most."""
    x, n = np.asarray(values, np.float64), len(values)
    return BenchRow(
        what=f"{WHAT}: {what}",
        metric=metric,
        value=float(np.mean(x)),
        low=float(np.min(x)),
        high=float(np.max(x)),
        unit=f"{unit}; least and most of {n}",
        split=f"{n} streams",
    )


def stream_rows(n_seeds: int, plan: Plan, damages: Sequence[Damage] = DAMAGES) -> list[BenchRow]:
    """What is served through each damage, with the guard and without, beside the same stream undamaged."""
    seen: dict[tuple[str, str], list[Seen]] = {}
    with progress("living through broken streams", n_seeds * (1 + len(damages))) as advance:
        for seed in range(n_seeds):
            for damage in (NONE, *damages):
                for is_guarded, one in lived(seed, damage, plan).items():
                    seen.setdefault((damage, WITH if is_guarded else WITHOUT), []).append(one)
                advance(1)
    usual = [_entropy(one, plan) for one in seen[NONE, WITHOUT]]
    out = [row for (damage, way), of in seen.items() for row in _way(damage, way, of, usual, plan)]
    out += [_curve(f"{damage}, {way}", of[0], plan) for (damage, way), of in seen.items() if damage in (NONE, STOP)]
    return out


def _way(damage: str, way: str, seen: Sequence[Seen], usual: Sequence[float], plan: Plan) -> Iterator[BenchRow]:
    """Figures of one damage with the guard, or without.

    Args:
        usual: NE of the same streams undamaged.
    """
    what, entropy = f"{damage}, {way}", [_entropy(s, plan) for s in seen]
    yield _row(what, "NE", entropy, "from the break on")
    worse = [100 * (e / u - 1) for e, u in zip(entropy, usual, strict=True)]
    yield _row(what, "NE over undisturbed", worse, "%, from the break on")
    ratios = [_ratios(s, plan) for s in seen]
    yield _row(what, "lowest predicted / true", [float(r.min()) for r in ratios], f"of {STEP_MIN} min")
    yield _row(what, "highest predicted / true", [float(r.max()) for r in ratios], f"of {STEP_MIN} min")
    if way == WITH:
        yield _row(what, "alarms", [s.n_alarms for s in seen], "stretches")
        yield _row(what, "left out", [s.quarantined_min for s in seen], "minutes")
        yield _row(what, "deltas undone", [s.n_undone for s in seen], "a run")
    found = [s.found_s for s in seen if np.isfinite(s.found_s)]
    if found and damage != NONE:
        yield _row(what, "found", [100 * len(found) / len(seen)], "%")
        yield _row(what, "time to detect", found, "s of the stream")


def _curve(what: str, seen: Seen, plan: Plan) -> BenchRow:
    """Predicted over true by step of the first stream, for the picture."""
    ratios = _ratios(seen, plan, plan.live)
    text = " ".join(f"{r:.4f}" for r in ratios)
    return BenchRow(what=f"{WHAT}: {what}", metric="curve", value=float(ratios[-1]), unit=text, split="seed 0")


def _entropy(seen: Seen, plan: Plan) -> float:
    after = seen.minute >= plan.stop[0]
    return normalized_entropy(seen.true[after].astype(np.float32), seen.said[after])


def _ratios(seen: Seen, plan: Plan, first: int | None = None) -> NDArray[np.float64]:
    """Predicted over true chance of each step, from the break on."""
    starts = np.arange(plan.stop[0] if first is None else first, plan.end - STEP_MIN, STEP_MIN)
    rows = [(seen.minute >= a) & (seen.minute < a + STEP_MIN) for a in starts]
    return np.array([seen.said[r].mean() / seen.chance[r].mean() for r in rows])


def month_rows(n_months: int, n_days: int) -> list[BenchRow]:
    """False alarms over the month; minutes to an alarm after breaks at noon and at night, and whether there is one."""
    quiet: dict[str, list[int]] = {}
    delays: dict[tuple[str, str], list[float]] = {}
    with progress("months of windows", n_months) as advance:
        for seed in range(n_months):
            whole = month(seed, n_days)
            for name, made in watchers():
                quiet.setdefault(name, []).append(len(alarms(made(), whole)))
                for kind, delay in _delays(whole, made, seed, min(n_days, 7)):
                    delays.setdefault((name, kind), []).append(delay)
            advance(1)
    out = [_row(f"month, {name}", "alarms in a quiet month", n, f"of {n_days} days") for name, n in quiet.items()]
    return out + [row for (name, kind), m in delays.items() for row in _found(f"month, {name}", kind, m)]


def twice_rows(n_months: int, n_days: int = 7) -> list[BenchRow]:
    """Minutes to the alarm of a break that comes some windows after another one, and whether there is one."""
    seen: dict[tuple[str, str], list[float]] = {}
    with progress("two breaks", n_months * (n_days - 2)) as advance:
        for seed, day in itertools.product(range(n_months), range(2, n_days)):
            whole = month(seed, n_days)
            for way in WAYS:
                state = primed(whole, day, way)
                for first, (damage, keep), n in itertools.product(FIRSTS, ((STOP, 0.0), (HALF, 0.5)), BETWEEN):
                    minutes = delay(whole, day, way, state, FIRSTS[first], n, keep)
                    seen.setdefault((f"twice, {first}, {way}", f"{damage} {n} later"), []).append(minutes)
            advance(1)
    return [row for (what, which), minutes in seen.items() for row in _found(what, which, minutes)]


def _found(what: str, which: str, minutes: Sequence[float]) -> Iterator[BenchRow]:
    """Which share of breaks was found, and when; NaN = not."""
    found = [m for m in minutes if np.isfinite(m)]
    yield _row(what, f"{which}: found", [100 * len(found) / len(minutes)], "%")
    if found:
        yield _row(what, f"{which}: minutes", found, "min to the alarm")


def _delays(whole: Month, made: Callable[[], Watcher], seed: int, n_days: int) -> Iterator[tuple[str, float]]:
    """(kind of break, minutes to the alarm), NaN where there is none before it is over; a day is seen before each."""
    for day in range(2, n_days):
        for when, minute in (("at noon", 720), ("at 5 h", 300)):
            for damage, keep in ((STOP, 0.0), (HALF, 0.5)):
                at = day * DAY + minute
                found = alarms(made(), broken(whole, at, keep, seed=seed), at - DAY, at + 30)
                found = found[found >= at]
                yield f"{damage} {when}", float(found[0] - at + 1) if len(found) else np.nan
