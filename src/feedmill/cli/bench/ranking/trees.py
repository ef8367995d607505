"""GBDT + LR against LR alone and trees alone, by normalised entropy (He et al. 2014, table 1).

All three learn from the same training rows: the trees alone grow on all of them, GBDT + LR parts them, and its
regression is fitted on rows that its trees did not see. Each number of trees has settings of its own, learning rate of
the trees included, else few trees would lose to anything that mends their shrinkage. The first n of boosted trees are
the model of n trees, so one growth tries every number. Settings are chosen on validation with seed 0; test is read once
for each row of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feedmill.cli.bench.ranking.tables import Indices, TreeTask, tree_tasks, turning_days
from feedmill.core.batches import Floats, Rows
from feedmill.core.progress import progress
from feedmill.metrics.classification import normalized_entropy
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.features.served.forest import Forest

METRIC = "normalised entropy"
SIZES = (10, 30, 100, 300)  # trees
SHARES = (0.2, 0.5)  # of training rows, for the regression
STEPS = (0.3, 1.0, 3.0)  # alpha times the number of trees: a row moves a leaf of each at once
PASSES = (1, 3, 10)
LINEAR_RATES, LINEAR_PASSES, LINEAR_L2 = (0.05, 0.1, 0.3), (3, 10, 30), (0.0, 3.0)
TREE_RATES = (0.05, 0.1, 0.3)
N_LEAVES = 12  # the paper's largest tree
N_SEEDS = 5
LINEAR, ALONE, HYBRID = "LR alone", "trees alone, {} trees", "GBDT + LR, {} trees"


class Setting(NamedTuple):
    """How trees grow, and how a regression is fitted; without trees it is LR alone, without passes trees alone."""

    n_trees: int = 0
    rate: float = 0.0
    share: float = 0.0
    alpha: float = 0.0
    passes: int = 0
    start: str = "zero"
    l2: float = 0.0

    def __str__(self) -> str:
        said = {k: v for k, v in self._asdict().items() if v != self._field_defaults[k] and k != "n_trees"}
        return ", ".join(f"{k} {v if isinstance(v, str) else f'{v:.3g}'}" for k, v in said.items())


class Chosen(NamedTuple):
    """What did best on validation; of trees, by their number."""

    linear: Setting
    alone: dict[int, Setting]
    hybrid: dict[int, Setting]


def gbdt_rows(quick: bool, data: Path | None = None) -> list[BenchRow]:
    """Mean over seeds of each model and task, with the least and the largest; then a world that drifts."""
    n_seeds = 1 if quick else N_SEEDS
    rows: list[BenchRow] = []
    for task in tree_tasks(data, 4_000 if quick else 0):
        if isinstance(task, TreeTask):
            rows += _task_rows(task, SIZES[:2] if quick else SIZES, SHARES[:1] if quick else SHARES, n_seeds)
        else:
            rows.append(BenchRow(what=task[0], metric=METRIC, value=float("nan"), unit=f"not measured: {task[1]}"))
    return [*rows, *drift_rows(quick)]


def _task_rows(task: TreeTask, sizes: tuple[int, ...], shares: tuple[float, ...], n_seeds: int) -> Iterator[BenchRow]:
    run = _Run(task, sizes, shares)
    chosen = run.choose()
    found: dict[str, list[float]] = {}
    with progress(f"{task.name}: test", n_seeds) as advance:
        for seed in range(n_seeds):
            for what, value in run.test(seed, chosen):
                found.setdefault(what, []).append(value)
            advance(1)
    mean = {what: float(np.mean(values)) for what, values in found.items()}
    spread = f"mean, least and largest of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    setting = {LINEAR: chosen.linear, **{ALONE.format(n): s for n, s in chosen.alone.items()}}
    setting |= {HYBRID.format(n): s for n, s in chosen.hybrid.items()}
    for what, values in found.items():
        peers = [LINEAR, *(ALONE.format(n) for n in sizes if what == HYBRID.format(n))]
        peer = min(peers, key=lambda p: mean[p]) if len(peers) > 1 else ""
        yield BenchRow(
            what=f"{task.name}: {what}", metric=METRIC, value=mean[what], low=min(values), high=max(values),
            unit=f"{spread}; {setting[what]}" if what in setting else spread, peer=peer,
            ratio=mean[what] / mean[peer] if peer else None, split=task.split,
        )  # fmt: skip


class _Run:
    """One task: three models, chosen on validation and read on test."""

    def __init__(self, task: TreeTask, sizes: tuple[int, ...], shares: tuple[float, ...]) -> None:
        self.task, self.sizes, self.shares = task, sizes, shares
        self.one_hot, self.n_coordinates = task.one_hot()

    def grow(self, rows: Indices, rate: float, n: int, seed: int) -> Forest:
        """The first n trees."""
        from feedmill.train.trees.boosted import TreesConfig, grow

        config = TreesConfig(n_trees=n, n_leaves=N_LEAVES, learning_rate=rate)
        return grow(self.task.x[rows], self.task.labels[rows], None, config, self.task.categorical, seed)[0]

    def choose(self) -> Chosen:
        """By validation, seed 0."""
        order, validation, labels = self.task.shuffled(0), self.task.validation, self.task.labels
        asked = self.task.x[validation]
        linear = [(self.linear(s, order, validation), s) for s in _linear_settings()]
        alone: list[tuple[float, Setting]] = []
        hybrid: list[tuple[float, Setting]] = []
        with progress(f"{self.task.name}: settings", len(TREE_RATES) * (1 + len(self.shares))) as advance:
            for rate in TREE_RATES:
                forest = self.grow(order, rate, max(self.sizes), 0)
                alone += [(self._entropy(_alone(forest, asked, n), validation), Setting(n, rate)) for n in self.sizes]
                advance(1)
                for share in self.shares:
                    new = order[_cut(order, share) :]
                    forest = self.grow(order[: len(order) - len(new)], rate, max(self.sizes), 0)
                    leaves = forest.leaves(self.task.x[new]), forest.leaves(asked)
                    for n, step, start in product(self.sizes, STEPS, ("trees", "zero")):
                        s = Setting(n, rate, share, step / n, max(PASSES), start)
                        for passes, said in enumerate(_passes(forest, s, leaves[0], labels[new], leaves[1]), 1):
                            if passes in PASSES:
                                hybrid.append((self._entropy(said, validation), s._replace(passes=passes)))
                    advance(1)
        return Chosen(min(linear)[1], _best(alone, self.sizes), _best(hybrid, self.sizes))

    def test(self, seed: int, chosen: Chosen) -> Iterator[tuple[str, float]]:
        """(model, entropy on test) of one seed."""
        order, asked = self.task.shuffled(seed), self.task.test
        x, labels = self.task.x, self.task.labels
        yield LINEAR, self.linear(chosen.linear, order, asked)
        for n, s in chosen.alone.items():
            forest = self.grow(order, s.rate, n, seed)
            yield ALONE.format(n), self._entropy(_alone(forest, x[asked], n), asked)
        for n, s in chosen.hybrid.items():
            new = order[_cut(order, s.share) :]
            forest = self.grow(order[: len(order) - len(new)], s.rate, n, seed)
            yield f"the trees of GBDT + LR by themselves, {n} trees", self._entropy(_alone(forest, x[asked], n), asked)
            *_, said = _passes(forest, s, forest.leaves(x[new]), labels[new], forest.leaves(x[asked]))
            yield HYBRID.format(n), self._entropy(said, asked)

    def linear(self, setting: Setting, order: Indices, asked: Indices) -> float:
        """LR on one-hot codes and bins."""
        from feedmill.train.trees.online_lr import OnlineLr, OnlineLrConfig

        lr = OnlineLr(OnlineLrConfig(alpha=setting.alpha, l2=setting.l2), np.zeros(self.n_coordinates))
        for _ in range(setting.passes):
            lr.update(self.one_hot[order], self.task.labels[order])
        return self._entropy(lr.predict(self.one_hot[asked]), asked)

    def _entropy(self, said: Any, asked: Indices) -> float:
        return normalized_entropy(self.task.labels[asked], said)


def _linear_settings() -> Iterator[Setting]:
    for alpha, passes, l2 in product(LINEAR_RATES, LINEAR_PASSES, LINEAR_L2):
        yield Setting(alpha=alpha, passes=passes, l2=l2)


def _best(tried: list[tuple[float, Setting]], sizes: tuple[int, ...]) -> dict[int, Setting]:
    return {n: min(t for t in tried if t[1].n_trees == n)[1] for n in sizes}


def _cut(order: Indices, share: float) -> int:
    return len(order) - round(len(order) * share)


def _alone(forest: Forest, x: Floats, n: int) -> Any:
    """Probabilities of the first n trees by themselves."""
    return 1 / (1 + np.exp(-forest.leaf_value[forest.leaves(x, slice(0, n))].sum(axis=1)))


def _passes(forest: Forest, setting: Setting, leaves: Rows, labels: Floats, asked: Rows) -> Iterator[Any]:
    """Probabilities for ``asked`` of a regression on the leaves of the first trees, after each pass over its rows."""
    from feedmill.train.trees.online_lr import OnlineLr, OnlineLrConfig

    n = setting.n_trees
    begin = forest.leaf_value if setting.start == "trees" else np.zeros(forest.n_leaves)
    lr = OnlineLr(OnlineLrConfig(alpha=setting.alpha, l2=setting.l2), np.append(begin, 0.0))
    active = [np.hstack([np.full((len(x), 1), forest.n_leaves, np.int32), x[:, :n]]) for x in (leaves, asked)]
    for _ in range(setting.passes):
        lr.update(active[0], labels)
        yield lr.predict(active[1])


def drift_rows(quick: bool) -> Iterator[BenchRow]:
    """What online learning and daily growth are worth where tastes turn: everything is predicted, then learnt."""
    from feedmill.train.trees.boosted import TreesConfig
    from feedmill.train.trees.daily import daily
    from feedmill.train.trees.gbdt_lr import GbdtLrConfig, TableRows
    from feedmill.train.trees.online_lr import OnlineLrConfig

    config = GbdtLrConfig(trees=TreesConfig(n_trees=30, n_leaves=12, n_threads=1), lr=OnlineLrConfig(alpha=0.05))
    ways: dict[str, dict[str, Any]] = {
        "trees and LR stay": {"refit_every": 0, "is_online": False},
        "trees stay, LR online": {"refit_every": 0},
        "trees grown daily, LR of the night": {"refit_every": 1, "is_online": False},
        "trees grown daily, LR online": {"refit_every": 1},
    }
    n_seeds, window = (1 if quick else N_SEEDS), 3
    found: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(n_seeds):
        days = [TableRows(x, y) for x, y in turning_days(6 if quick else 12, 1_000 if quick else 4_000, seed)]
        labels = np.concatenate([day.labels[:, 0] for day in days[window:]])
        for way, how in ways.items():
            said = np.concatenate(list(daily(config, days, window=window, seed=seed, **how)))[:, 0]
            found[way].append(normalized_entropy(labels, said))
    stale = float(np.mean(found["trees and LR stay"]))
    for way, values in found.items():
        yield BenchRow(
            what=f"drifting world: {way}", metric=f"progressive {METRIC}", value=float(np.mean(values)),
            low=min(values), high=max(values), unit=f"mean, least and largest of {n_seeds} seeds",
            peer="trees and LR stay", ratio=float(np.mean(values)) / stale, split="planted; days 4 on",
        )  # fmt: skip
