"""What assignment costs, and whether buckets are as uniform and layers as independent as they should be."""

from __future__ import annotations

from itertools import combinations
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from feedmill.cli.bench.measure import timed, timing
from feedmill.core.config import convert
from feedmill.core.progress import progress
from feedmill.experiments import lifecycle
from feedmill.experiments.assignment import buckets, hashes
from feedmill.experiments.config import ExperimentsConfig
from feedmill.experiments.definition import Action, Arm, Definition
from feedmill.experiments.plan import Plan
from feedmill.metrics.rows import BenchRow

N_LAYERS, N_USERS, N_BUCKETS, N_CELLS = 10, 1_000_000, 1000, 20
N_SALTS = 20


def busy(n_layers: int = N_LAYERS) -> Plan:
    """A plan with a holdout and two experiments of half the users each in every layer."""
    layers = {f"layer{k}": {"n_buckets": N_BUCKETS} for k in range(n_layers)}
    plan = Plan.empty(convert({"holdout": 0.1, "layers": layers}, ExperimentsConfig))
    for k in range(n_layers):
        for half in range(2):
            name = f"test{k}-{half}"
            arms = {
                "control": Arm(share=0.25),
                "treated": Arm(share=0.25, set={f"rerank.fusion.weights.head{k}.test{half}": 1.0}),
            }
            made = Definition(layer=f"layer{k}", arms=arms)
            for action in (Action(action="create", name=name, definition=made), Action(action="start", name=name)):
                plan = plan.fold(lifecycle.event(lifecycle.settle(plan, action), plan.offset), plan.offset)
    return plan


def assignment_rows(quick: bool) -> list[BenchRow]:
    """Microseconds of a request, and seconds for a million users at once."""
    plan, n = busy(), 20_000 if quick else 200_000
    ids = [f"user-{k}" for k in range(n)]
    plan.assign("warm")
    seconds = timed(n, lambda k: plan.assign(ids[k]))
    what = f"assignment, {N_LAYERS} layers"
    many = [f"user-{k}" for k in range(N_USERS // 10 if quick else N_USERS)]
    start = perf_counter()
    users = hashes(many)
    hashed = perf_counter() - start
    start = perf_counter()
    for k in range(N_LAYERS):
        buckets(users, f"layer{k}", N_BUCKETS)
    drawn = perf_counter() - start
    per = 1e6 / len(many)
    return [
        timing(what, "p50", seconds, "us", 1e6),
        timing(what, "p99", seconds, "us", 1e6),
        BenchRow(what=what, metric="ids of a million users", value=hashed * per, unit="s"),
        BenchRow(what=what, metric="their buckets in every layer", value=drawn * per, unit="s"),
    ]


def uniform_rows(quick: bool) -> list[BenchRow]:
    """Chi-square of the buckets of 20 salts, and of every two of them in 20 x 20 cells; Bonferroni over each kind."""
    n = N_USERS // 10 if quick else N_USERS
    users = hashes(f"user-{k}" for k in range(n))
    drawn = []
    with progress("layers", total=N_SALTS) as advance:
        for k in range(N_SALTS):
            drawn.append(buckets(users, f"layer{k}", N_BUCKETS))
            advance(1)
    single = [float(stats.chisquare(np.bincount(of, minlength=N_BUCKETS)).pvalue) for of in drawn]
    coarse = [of // (N_BUCKETS // N_CELLS) for of in drawn]
    pairs = [_independent(one, other) for one, other in combinations(coarse, 2)]
    return [*_smallest(f"uniform, {n:,} users", single), *_smallest(f"independent, {n:,} users", pairs)]


def _independent(one: NDArray[np.int32], other: NDArray[np.int32]) -> float:
    table = np.bincount(one * N_CELLS + other, minlength=N_CELLS**2).reshape(N_CELLS, N_CELLS)
    return float(stats.chi2_contingency(table).pvalue)


def _smallest(what: str, p: list[float]) -> list[BenchRow]:
    least = min(p)
    spread = float(stats.kstest(p, "uniform").pvalue)  # p-values of a true hypothesis are uniform themselves
    return [
        BenchRow(what=what, metric="smallest p", value=least, unit=f"of {len(p)} tests"),
        BenchRow(what=what, metric="smallest p, Bonferroni", value=min(1.0, least * len(p)), unit=f"of {len(p)} tests"),
        BenchRow(what=what, metric="p of all p being uniform", value=spread, unit="Kolmogorov-Smirnov"),
    ]
