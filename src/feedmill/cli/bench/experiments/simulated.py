"""What the analysis says of simulated experiments whose truth is known: nothing was done, or +2 % was."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from feedmill.cli.bench.experiments.audience import DAYS, Audience, audience
from feedmill.core.clock import rng
from feedmill.core.progress import progress
from feedmill.experiments.analysis import aa, sequential
from feedmill.experiments.analysis.aa import Rate, Splits
from feedmill.experiments.analysis.compare import ALPHA, differences, effect
from feedmill.experiments.analysis.moments import Doubles, Products
from feedmill.experiments.analysis.power import Design, baseline, power, users
from feedmill.experiments.analysis.srm import sample_ratio
from feedmill.metrics.rows import BenchRow

N_USERS, N_TESTS, N_POPULATIONS, MONTH = 10_000, 5_000, 25, 28
LIFT = 0.02
FIRST_LOOK = 200  # users before which nobody looks
KINDS = {"mean": False, "ratio": True}


def row(what: str, metric: str, rate: Rate, unit: str = "share") -> BenchRow:
    """A share with its interval."""
    words = f"{unit} of {rate.n:,}, 95 % Clopper-Pearson"
    return BenchRow(what=what, metric=metric, value=rate.share, low=rate.low, high=rate.high, unit=words)


def same_rows(quick: bool) -> list[BenchRow]:
    """A/A tests at the end of a fortnight: a mean per user and a ratio, plain and with CUPED, 50:50 and 10:90."""
    n_tests = N_TESTS // 10 if quick else N_TESTS
    hits: dict[str, int] = {}
    with progress("A/A tests", total=N_POPULATIONS) as advance:
        for k in range(N_POPULATIONS):
            people = audience(N_USERS, 0, "aa", k)
            nobody = np.zeros(len(people.first))
            for kind, is_ratio in KINDS.items():
                products = Products(people.units(DAYS - 1, nobody, is_ratio=is_ratio))
                for what, share, cuped in (
                    (kind, 0.5, False),
                    (f"{kind}, CUPED", 0.5, True),
                    (f"{kind}, CUPED, an arm of 10 %", 0.1, True),
                ):
                    splits = Splits(n_tests // N_POPULATIONS, share, k)
                    for found in aa.drawn(products, splits, cuped=cuped):
                        hits[what] = hits.get(what, 0) + int((found.p() < ALPHA).sum())
            advance(1)
    n = n_tests // N_POPULATIONS * N_POPULATIONS
    return [row(f"A/A: {what}", "false positives", Rate.of(n_hits, n)) for what, n_hits in hits.items()]


def peeking_rows(quick: bool) -> list[BenchRow]:
    """A/A tests that are looked at every day of four weeks: the share that is ever told apart."""
    n_tests = N_TESTS // 10 if quick else N_TESTS
    wrong = {(kind, how): 0 for kind in KINDS for how in ("last day, fixed", "any day, fixed", "any day, sequential")}
    with progress("daily looks", total=N_POPULATIONS) as advance:
        for k in range(N_POPULATIONS):
            people = audience(N_USERS, 1, "peeking", k, days=MONTH)
            for kind, is_ratio in KINDS.items():
                z, share = looks(people, Splits(n_tests // N_POPULATIONS, 0.5, k), is_ratio)
                fixed, always = abs(z) > 1.959964, abs(z) > sequential.bound(share)
                wrong[kind, "last day, fixed"] += int(fixed[:, -1].sum())
                wrong[kind, "any day, fixed"] += int(fixed.any(axis=1).sum())
                wrong[kind, "any day, sequential"] += int(always.any(axis=1).sum())
            advance(1)
    n = n_tests // N_POPULATIONS * N_POPULATIONS
    return [
        row(f"A/A, {MONTH} looks: {kind}", how, Rate.of(n_hits, n), "ever told apart")
        for (kind, how), n_hits in wrong.items()
    ]


def looks(people: Audience, splits: Splits, is_ratio: bool) -> tuple[Doubles, Doubles]:
    """(float64[splits, days] z of each look, float64[days] users by then as a share of half of all)."""
    nobody = np.zeros(len(people.first))
    days = [d for d in range(people.shown.shape[1]) if (people.first <= d).sum() >= FIRST_LOOK]
    at = [(people.first <= d, Products(people.units(d, nobody, is_ratio=is_ratio))) for d in days]
    out = []
    for members in aa.assignments(len(people.first), splits):
        out.append(np.stack([_z(products, members[:, here]) for here, products in at], axis=1))
    share = np.array([here.sum() for here, _ in at]) / (0.5 * len(people.first))
    return np.concatenate(out), share


def _z(products: Products, members: Doubles) -> Doubles:
    found = differences(products.of(members), products.of(1 - members))
    return found.difference / found.se


def power_rows(quick: bool) -> list[BenchRow]:
    """+2 % planted in as many users as the calculator asks for: the share of experiments that find it."""
    n_runs, pilot = (100, 40_000) if quick else (500, 400_000)
    rows = []
    for what, is_ratio, cuped in (("mean", False, False), ("mean, CUPED", False, True), ("ratio, CUPED", True, True)):
        people = audience(pilot, 2, "pilot", days=1, span=DAYS)
        base = baseline(people.units(0, np.zeros(len(people.first)), is_ratio=is_ratio))
        design = Design(cuped=cuped)
        n = users(base, LIFT * base.value, design)
        come = len(people.first) / pilot
        found = wrong = 0
        with progress(f"{_lift()} by {what}", total=n_runs) as advance:
            for k in range(n_runs):
                seen = audience(math.ceil(1.02 * n / come), 3, what, k, days=1, span=DAYS).head(n)
                arm = rng(k, "arms", what).integers(0, 2, len(seen.first))
                x = effect(seen.units(0, arm, LIFT, is_ratio=is_ratio), "treated", "control", cuped=cuped)
                found, wrong = found + (x.low > 0), wrong + (x.high < 0)
                advance(1)
        rows += [
            BenchRow(what=f"{_lift()}: {what}", metric="users for 80 %", value=n, unit="users, both arms"),
            BenchRow(
                what=f"{_lift()}: {what}",
                metric="stated power",
                value=power(base, LIFT * base.value, n, design),
                unit="calculated",
            ),
            row(f"{_lift()}: {what}", "found", Rate.of(found, n_runs), "experiments"),
            row(f"{_lift()}: {what}", "found the wrong way", Rate.of(wrong, n_runs), "experiments"),
        ]
    return rows


def ratio_rows(quick: bool) -> list[BenchRow]:
    """The sample-ratio test where nothing is wrong, and where an arm loses 2, 5 or 10 % of its users."""
    n_runs = 300 if quick else 10_000
    rows = []
    for lost in (0.0, 0.02, 0.05, 0.1):
        draw = rng(4, "srm", str(lost))
        treated = draw.binomial(N_USERS, 0.5, n_runs)
        kept = draw.binomial(treated, 1 - lost)
        shares = {"control": 0.5, "treated": 0.5}
        counts = zip(N_USERS - treated, kept, strict=True)
        flagged = sum(sample_ratio({"control": c, "treated": t}, shares).is_flagged for c, t in counts)
        what = f"sample ratio: {lost:.0%} of an arm lost" if lost else "sample ratio: as it should be"
        rows.append(row(what, "flagged", Rate.of(flagged, n_runs), f"runs of {N_USERS:,} users; share"))
    return rows


def cuped_rows(quick: bool) -> list[BenchRow]:
    """Variance cut by CUPED, over populations; and the squared correlation with the covariate, which it would be if all
    users had a history and means were all there is."""
    n_populations, n = (5, 20_000) if quick else (20, 100_000)
    return [
        BenchRow(
            what=f"CUPED: {what}",
            metric=metric,
            unit=f"mean of {n_populations} x {n:,} users, min to max",
            value=float(np.mean(of)),
            low=float(np.min(of)),
            high=float(np.max(of)),
        )
        for what, metric, of in _cuts(n_populations, n)
    ]


def _cuts(n_populations: int, n: int) -> Iterator[tuple[str, str, list[float]]]:
    crowds = [audience(n, 5, "cuped", k) for k in range(n_populations)]
    for kind, is_ratio in KINDS.items():
        cuts = [
            baseline(people.units(DAYS - 1, np.zeros(len(people.first)), is_ratio=is_ratio)).cut for people in crowds
        ]
        yield kind, "variance cut", cuts
    known = [people.units(DAYS - 1, np.zeros(len(people.first))) for people in crowds]
    yield (
        "mean",
        "squared correlation with the fortnight before",
        [float(np.corrcoef(u.num, u.num_before)[0, 1] ** 2) for u in known],
    )


def _lift() -> str:
    return f"{100 * LIFT:+.0f} %"
