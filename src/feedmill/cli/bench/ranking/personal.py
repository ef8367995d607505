"""PPNet and POSO on an audience with few new users, who behave otherwise: the same body, samples, passes and rate.

"plain, wider" has at least as many weights as the gated ones: what gates win is not won by size. The second budget
trains three times as long: gates learn new users earlier, and there it shows what is left of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feedmill.cli.bench.ranking.new_users import NEW_SHARE, SPEC, Drawn, World
from feedmill.core.batches import Floats
from feedmill.core.progress import progress
from feedmill.metrics.classification import auc
from feedmill.metrics.intervals import bootstrap
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.core.workspace import Component

MODEL: dict[str, Any] = {"embedding_dim": 16, "hidden_dims": (64, 32)}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain, wider": {"hidden_dims": (96, 48)},
    "ppnet": {"personal": {"kind": "ppnet"}},
    "poso": {"personal": {"kind": "poso", "code": ["user.activity_*"]}},
    "poso, all numbers": {"personal": {"kind": "poso"}},
}
FITTING: dict[str, Any] = {"batch_size": 128, "learning_rate": 6e-3}
SHORT, LONG = 9, 27  # epochs
FIRST_SEED = 10  # sizes, rates and epochs were chosen on seeds below it


class Budget(NamedTuple):
    """What all variants of a comparison are given."""

    kind: str
    epochs: int
    n_requests: int = 5000

    def __str__(self) -> str:
        return f"{self.kind}, {self.epochs} epochs"


class Figures(NamedTuple):
    """Of one variant and seed."""

    new: float
    other: float
    n_weights: float


def personal_rows(
    quick: bool, seeds: int | None = None, variants: Sequence[str] = (), budgets: Sequence[Budget] = ()
) -> list[BenchRow]:
    """AUC of new users and of the others, and what each variant gains over the plain model, paired by seed.

    Args:
        seeds: worlds and models drawn; none = 10, or 2 when quick.
        variants: of ``VARIANTS``, the first of which the others are compared with; none = all, or three when quick.
        budgets: none = MMoE and DNN for 9 epochs and MMoE for 27; when quick MMoE for 9.
    """
    n = seeds or (2 if quick else 10)
    variants = variants or (("plain", "ppnet", "poso") if quick else tuple(VARIANTS))
    some = (Budget("mmoe", SHORT),) if quick else (Budget("mmoe", SHORT), Budget("mmoe", LONG), Budget("dnn", SHORT))
    rows = [_truth(n)]
    with progress("personal gates", n * len(variants) * len(budgets or some)) as advance:
        for budget in budgets or some:
            found: dict[str, list[Figures]] = {name: [] for name in variants}
            for seed in range(FIRST_SEED, FIRST_SEED + n):
                for name in variants:
                    found[name].append(measured(budget, name, seed))
                    advance(1)
            rows.extend(_rows(budget, found))
    return rows


def measured(budget: Budget, variant: str, seed: int) -> Figures:
    """One variant trained and asked about users of which half are new."""
    from feedmill.train.config import Fitting
    from feedmill.train.loop import threads
    from feedmill.train.rank.ranker import fitted

    world = World(seed)
    train = world.draw(budget.n_requests, NEW_SHARE, seed, "train")
    fitting = Fitting(epochs=budget.epochs, **FITTING)
    with threads(1):
        done = fitted(_chosen(budget.kind, variant), fitting, SPEC, train.batch, train.samples, seed)
        test = _test(world, seed)
        prob = done.predict(SPEC, test.batch)[:, 0]
    return Figures(*by_newness(test, prob), float(sum(p.numel() for p in done.model.parameters())))


def by_newness(test: Drawn, prob: Floats) -> tuple[float, float]:
    """AUC over the rows of new users, and over those of the others."""
    clicks, new = test.samples.labels[:, 0], test.is_new
    return auc(clicks[new], prob[new]), auc(clicks[~new], prob[~new])


def _test(world: World, seed: int) -> Drawn:
    return world.draw(4000, 0.5, seed, "test")


def _chosen(kind: str, variant: str) -> Component[Any]:
    from feedmill.core.workspace import Component
    from feedmill.models import RANKERS

    cls: Any = RANKERS[kind]
    return Component(kind, kind, cls, cls.Config(**{**MODEL, **VARIANTS[variant]}), {})


def _truth(n: int) -> BenchRow:
    both = []
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        test = _test(World(seed), seed)
        both.append(by_newness(test, test.true_prob))
    new, other = np.mean(both, axis=0)
    return BenchRow(
        what=f"the true probabilities; others {other:.4f}",
        metric="AUC, new users",
        value=float(new),
        unit=_unit(n),
        seed=FIRST_SEED,
    )


def _rows(budget: Budget, found: dict[str, list[Figures]]) -> Iterator[BenchRow]:
    first, plain = next((name, np.array(figures)) for name, figures in found.items())
    for name, figures in found.items():
        what, each = f"{budget}: {name}", np.array(figures)
        yield BenchRow(what=what, metric="weights", value=each[0, 2], unit="weights beside the embeddings")
        for column, who in enumerate(("new users", "other users")):
            yield _row(what, f"AUC, {who}", each[:, column])
            if name != first:
                yield _row(what, f"AUC over {first}, {who}", each[:, column] - plain[:, column])


def _row(what: str, metric: str, values: Floats) -> BenchRow:
    mean, low, high, n = bootstrap(values, 0, purpose="seeds")
    return BenchRow(what=what, metric=metric, value=mean, low=low, high=high, unit=_unit(n), seed=FIRST_SEED)


def _unit(n: int) -> str:
    return f"mean of {n} seeds from {FIRST_SEED}, 95 % interval"
