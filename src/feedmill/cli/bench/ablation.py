"""What each part of a retrieval model is worth: with and without it, on MovieLens 100K, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from feedmill.cli.bench.retrieval.fit import fit_run
from feedmill.cli.bench.retrieval.runs import Run
from feedmill.cli.bench.retrieval.tasks import data_folder, movielens_100k
from feedmill.core.batches import Rows
from feedmill.metrics.ranking import average_precision_at, recall_at
from feedmill.metrics.rows import BenchRow
from feedmill.serve.full_ranking import Task, ask

TOWER: dict[str, Any] = {"kind": "two_tower", "epochs": 8}
TOWERS: dict[str, dict[str, Any]] = {
    "log q subtracted (default)": {},
    "no correction": {"correction": "none"},
    "streaming estimate of q": {"frequency": {}},
    "self-supervised, complementary": {"self_supervised": {"transform": "complementary"}},
    "self-supervised, random mask": {"self_supervised": {"transform": "random_mask"}},
}
YOUTUBE: dict[str, Any] = {"kind": "youtube", "epochs": 8}
DEPTHS: dict[str, tuple[int, ...]] = {"depth 0": (), "128": (128,), "256-128": (256, 128)}
FEATURES: dict[str, dict[str, Any]] = {
    "watches": {"only": ["user.clicked", "item.id"], "example_age": False, "numbers": "none"},
    "+ profile": {"example_age": False, "numbers": "none"},
    "+ counters, example age": {},
}
TREE: dict[str, Any] = {"loss": "hierarchical_softmax", "temperature": 1.0}


class Measured(NamedTuple):
    """Of one seed: recall of all that is held out, of the rarer half of items; MAP; how popular the answers are."""

    recall: float
    rare_recall: float
    average_precision: float
    popular_share: float


def ablation_rows(quick: bool, data: Path | None = None) -> list[BenchRow]:
    """Mean over seeds, with the least and the largest."""
    task = movielens_100k(data_folder(data))
    return [row for what, block, n in _variants(quick) for row in _rows(what, block, task, range(n))]


def _variants(quick: bool) -> Iterator[tuple[str, dict[str, Any], int]]:
    """What is tried, its block [train.NAME], and how many seeds: more where the difference is smaller."""
    towers = list(TOWERS.items())[:2] if quick else TOWERS.items()
    for name, more in towers:
        yield f"two_tower: {name}", {**TOWER, **more, **({"epochs": 2} if quick else {})}, 1 if quick else 3
    if quick:
        return
    for features, chosen in FEATURES.items():
        for depth, dims in DEPTHS.items():
            yield f"youtube: {features}; {depth}", {**YOUTUBE, "hidden_dims": dims, "features": chosen}, 1
    yield "youtube: hierarchical softmax; 128", {**YOUTUBE, "hidden_dims": (128,), **TREE}, 1


def _rows(what: str, block: Mapping[str, Any], task: Task, seeds: range) -> Iterator[BenchRow]:
    run = Run(kind="vector", chosen="defaults", sections={"train": {"model": dict(block)}})
    found = []
    for seed in seeds:
        ready = fit_run("model", run, task, seed)
        found.append(measured(ask(ready.channel, ready.task, 50).item, task))
    for metric, get in METRICS.items():
        values = [get(m) for m in found]
        unit = f"mean, least and largest of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
        mean, least, largest = float(np.mean(values)), min(values), max(values)
        yield BenchRow(what=what, metric=metric, value=mean, low=least, high=largest, unit=unit, split=task.hash)


METRICS: dict[str, Callable[[Measured], float]] = {
    "recall@20": lambda m: m.recall,
    "recall@50, rarer half of items": lambda m: m.rare_recall,
    "map@20": lambda m: m.average_precision,
    "share of the 10 % most popular in the top 10": lambda m: m.popular_share,
}


def measured(ranked: Rows, task: Task) -> Measured:
    """Of int32[U, 50] answers to the users of the task."""
    count = np.bincount(task.interactions.item, minlength=task.interactions.n_items)
    by_count = np.argsort(count[1:], kind="stable") + 1
    rare, popular = np.zeros(len(count), bool), np.zeros(len(count), bool)
    rare[by_count[: len(by_count) // 2]] = True
    popular[by_count[-len(by_count) // 10 :]] = True
    rare_only = replace(task, held=tuple(h[rare[h]] for h in task.held))
    return Measured(
        recall=float(np.nanmean(recall_at(ranked, task.held, 20))),
        rare_recall=float(np.nanmean(recall_at(ranked, rare_only.held, 50))),
        average_precision=float(np.nanmean(average_precision_at(ranked, task.held, 20))),
        popular_share=float(popular[ranked[:, :10]].mean()),
    )
