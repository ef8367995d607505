"""What ranking costs at serving, and what a pre-ranker keeps of the ranker's order.

A log with planted tastes and 20,000 items goes through the real path: state, samples, features, training, published
part. One thread; every request has another user and other candidates, and all ways of scoring take turns on it, from
the state probe to the scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feedmill.cli.bench.ranking.world import world
from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.metrics.intervals import bootstrap
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.state import Replay, State

TOP, KEPT, N_CANDIDATES, N_RANKED = 50, 300, 2000, 300
SIZES: dict[str, dict[str, Any]] = {
    "default MMoE (4 experts 64-32)": {"kind": "mmoe"},
    "large MMoE (8 experts 256-64)": {"kind": "mmoe", "n_experts": 8, "hidden_dims": [256, 64]},
}
STAGES = ("state probe", "the user's share", "gathering the items' shares", "the items' numbers", "scores graph")
Score = Callable[[UserColumns, Rows], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What is compared: rankers by size, as they are stored now; pre-rankers by name."""

    state: State
    rankers: dict[str, Part]
    preranks: dict[str, Part]
    vectors: Part


def serving_rows(quick: bool) -> list[BenchRow]:
    """Milliseconds of a request before and after, where they go, and how much of the top a pre-ranker keeps."""
    made = fitted(quick)
    sets = candidates(made, 60 if quick else 150)
    return [*timing_rows(made, sets, 60 if quick else 400), *stage_rows(made, sets), *overlap_rows(made, sets)]


def fitted(quick: bool, seed: int = 0) -> Fitted:
    """Everything trained on one log."""
    from feedmill.core.workspace import Workspace, component
    from feedmill.features import FeaturesConfig, assemble
    from feedmill.features import fit as fit_features
    from feedmill.models import RANKERS
    from feedmill.rerank.fusion import FusionConfig
    from feedmill.samples import SamplesConfig, sample
    from feedmill.train.config import Fitting
    from feedmill.train.learned import Learned
    from feedmill.train.loop import threads
    from feedmill.train.plans import Plans
    from feedmill.train.rank.compact import ServingConfig, compact, held_out
    from feedmill.train.rank.distilled import fused
    from feedmill.train.rank.prerank import PrerankNet, fit_prerank
    from feedmill.train.rank.ranker import fit_ranker

    raw = {
        "retrieval": {"channels": {"two_tower": {"kind": "vector"}}},
        "train": {"two_tower": {"epochs": 1 if quick else 2, "embedding_dim": 16, "hidden_dims": [32, 16]}},
    }
    events = world(1000 if quick else 1500, 20_000, 40, seed)
    workspace = Workspace(Path(), raw)
    learned = Learned(workspace, Replay(events, State()), events, seed)
    samples, _ = sample(events, learned.state, SamplesConfig(n_negatives=4), seed)
    probed = learned.then(samples.probe)
    spec, arrays = fit_features.fit(FeaturesConfig(), learned.state, probed)
    batch, value = assemble(spec, arrays, learned.state, probed), fused(FusionConfig())
    with threads(1):
        vectors = learned.channels(Plans.of(workspace))["two_tower"]
        parts: dict[str, Part] = {}
        for name, block in SIZES.items():
            chosen, fitting = component(block, RANKERS, "rank"), Fitting(epochs=1 if parts else 2 if quick else 3)
            # the large one is timed, not judged: a few samples will do
            few = held_out(batch, samples, 0.02)[1] if parts else (batch, samples)
            parts[name] = fit_ranker(chosen, fitting, spec, arrays, *few, seed)
        ranker = next(iter(parts.values()))
        nets = {f"MLP, distill = {d:g}": PrerankNet(distill=d, epochs=2 if quick else 3) for d in (0.0, 0.8)}
        preranks = {
            name: fit_prerank(net, spec, arrays, batch, probed, samples, ranker, learned.state, value, seed)
            for name, net in nets.items()
        }
    published = {name: compact(part, learned.state, ServingConfig(), None) for name, part in parts.items()}
    return Fitted(learned.state, published, preranks, vectors)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A user and the 2,000 candidates that retrieval brought."""

    user: UserColumns
    items: Rows


def candidates(made: Fitted, n: int) -> list[Request]:
    """What a vector channel (1,500) and the popular items (500 more) bring each of n users."""
    from feedmill.features.served.graph import Graph

    state, random = made.state, rng(0, "ranking serving")
    encode, vectors = Graph(made.vectors, state).users, np.asarray(made.vectors.arrays["item_vectors"])
    popular = np.argsort(-state.totals("click.all", np.arange(len(state.items), dtype=np.int32)), kind="stable")
    out = []
    for row in random.choice(np.arange(1, len(state.users)), n, replace=n >= len(state.users)).tolist():
        user = state.view(state.users.id(row), state.newest_ms)
        near = vectors @ encode(user)[0]
        near[0] = -np.inf
        first = np.argpartition(-near, 3 * N_CANDIDATES // 4)[: 3 * N_CANDIDATES // 4]
        rest = popular[~np.isin(popular, first) & (popular > 0)][: N_CANDIDATES - len(first)]
        out.append(Request(user, random.permutation(np.concatenate([first, rest])).astype(np.int32)))
    return out


def timing_rows(made: Fitted, sets: list[Request], n: int) -> list[BenchRow]:
    """p50 and p99; ``ratio`` is the whole graph over the row, of the same requests in the same run."""
    from feedmill.features.served.graph import Graph
    from feedmill.features.served.late_fusion import LateFusionGraph
    from feedmill.train.rank.compact import int8

    rows: list[BenchRow] = []
    encode, vectors = Graph(made.vectors, made.state).users, np.asarray(made.vectors.arrays["item_vectors"])
    for size, part in made.rankers.items():
        small = replace(part, blobs={**part.blobs, "scores.onnx": int8(part.blobs["scores.onnx"])})
        whole = Graph(part, made.state, whole=True).score
        ways: dict[str, Score] = {"whole": whole, "factored": Graph(part, made.state).score}
        ranked = {**ways, "factored, int8": Graph(small, made.state).score}
        rows += _timed(f"rank {N_RANKED}, {size}", ranked, sets, N_RANKED, n)
        if size == next(iter(SIZES)):  # the pre-rankers once, beside the default ranker
            ways |= {"vector": lambda user, items: vectors[items] @ encode(user)[0]}
            ways |= {"MLP": LateFusionGraph(list(made.preranks.values())[-1], made.state).score}
        rows += _timed(f"pre-rank {N_CANDIDATES:,}, {size}", ways, sets, N_CANDIDATES, n)
    return rows


def _timed(what: str, ways: dict[str, Score], sets: list[Request], width: int, n: int) -> list[BenchRow]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(-10, n):  # the first ones compile and warm
        request = sets[i % len(sets)]
        items = request.items[:width]
        for name, score in ways.items():
            start = time.perf_counter()
            score(request.user, items)
            if i >= 0:
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(ways))
    return [
        BenchRow(
            what=f"{what}: {name}", metric=metric, value=_ms(times, q),
            low=_ms(times, 25) if q == 50 else None, high=_ms(times, 75) if q == 50 else None,
            unit=f"ms, p25..p75, n = {n}" if q == 50 else f"ms, n = {n}",
            peer="" if name == first else f"{first} graph",
            ratio=None if name == first else _ms(seconds[first], q) / _ms(times, q),
        )
        for name, times in seconds.items() for metric, q in (("p50", 50), ("p99", 99))
    ]  # fmt: skip


def stage_rows(made: Fitted, sets: list[Request]) -> list[BenchRow]:
    """Where the milliseconds of a factored request go: the middle of each stage over the requests."""
    from feedmill.features.served.graph import Graph

    rows, cut = [], Graph(next(iter(made.rankers.values())), made.state).factored
    assert cut is not None
    for width in (N_RANKED, N_CANDIDATES):
        seconds = []
        for request in [*sets[:5], *sets]:
            marks = [time.perf_counter()]
            probed = made.state.probe(request.user, request.items[:width])
            marks.append(time.perf_counter())
            user = cut.user(probed)
            marks.append(time.perf_counter())
            items = cut.items.rows(probed.item)
            marks.append(time.perf_counter())
            numbers = cut.numbers(probed, user)
            marks.append(time.perf_counter())
            cut.finish(probed, user, items, numbers)
            marks.append(time.perf_counter())
            seconds.append(np.diff(marks))
        middle = np.median(seconds[5:], axis=0) * 1e3
        rows += [
            BenchRow(what=f"factored, {width:,} candidates: {name}", metric="p50", value=float(ms), unit="ms")
            for name, ms in zip(STAGES, middle, strict=True)
        ]
    return rows


def overlap_rows(made: Fitted, sets: list[Request]) -> list[BenchRow]:
    """Share of the ranker's top 50 of 2,000 that the pre-ranker has in its top 300; mean over users."""
    from feedmill.features.served.graph import Graph
    from feedmill.features.served.late_fusion import LateFusionGraph
    from feedmill.rerank.fusion import FusionConfig
    from feedmill.train.rank.distilled import fused

    value = fused(FusionConfig())
    ranker = Graph(next(iter(made.rankers.values())), made.state)
    encode, vectors = Graph(made.vectors, made.state).users, np.asarray(made.vectors.arrays["item_vectors"])
    ways: dict[str, Score] = {"vector (two_tower)": lambda user, items: vectors[items] @ encode(user)[0]}
    ways |= {name: LateFusionGraph(part, made.state).score for name, part in made.preranks.items()}
    best = [_top(value(ranker.score(r.user, r.items), ranker.heads), TOP) for r in sets]
    rows = []
    for name, score in ways.items():
        kept = [
            len(np.intersect1d(top, _top(np.ravel(score(r.user, r.items)), KEPT))) / TOP
            for r, top in zip(sets, best, strict=True)
        ]
        mean = bootstrap(np.array(kept), 0)
        rows.append(
            BenchRow(
                what=f"pre-rank {name}: of the ranker's top {TOP} in its top {KEPT} of {N_CANDIDATES:,}",
                metric="kept",
                value=mean.mean,
                low=mean.low,
                high=mean.high,
                unit=f"share, 95 %, {len(sets)} users",
            )
        )  # fmt: skip
    return rows


def _top(values: Floats, n: int) -> Any:
    return np.argsort(-values, kind="stable")[:n]


def _ms(seconds: list[float], q: float) -> float:
    return float(np.percentile(seconds, q) * 1e3)
