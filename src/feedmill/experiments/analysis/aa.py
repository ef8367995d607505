"""A/A tests: the log's own users split again and again, with nothing done to anybody.

What is told apart then is told apart by chance, which should be so in 5 % of the splits: if it is not, the metric's
tails are too heavy for so few users, or users are not what is independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import stats

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import ALPHA, Differences, differences
from feedmill.experiments.analysis.moments import Doubles, Products
from feedmill.metrics.rollup.units import Units

CHUNK = 4_000_000  # draws held at once


class Rate(msgspec.Struct, frozen=True):
    """How often something happened, with the binomial interval of Clopper and Pearson."""

    share: float
    low: float
    high: float
    n: int

    @staticmethod
    def of(hits: int, n: int) -> Rate:
        """Hits of n tries."""
        found = stats.binomtest(int(hits), int(n)).proportion_ci(method="exact")
        return Rate(hits / n, float(found.low), float(found.high), n)


class Splits(NamedTuple):
    """How users are split: that often, with that share in the arm."""

    n: int = 5000
    share: float = 0.5
    seed: int = 0


def false_positives(
    metrics: Mapping[str, Units],
    splits: Splits,
    *,
    alpha: float = ALPHA,
    cuped: bool = True,
    advance: Callable[[float], None] = lambda _: None,
) -> dict[str, Rate]:
    """By metric, the share of splits with p < alpha. The splits are the same for metrics of equally many users.

    Args:
        metrics: per metric, its users; their arms do not matter.
        advance: told of splits as they are done, once per metric.

    Raises:
        DataError: a metric with fewer than four users.
    """
    out = {}
    for name, units in metrics.items():
        if len(units) < 4:
            raise DataError(f"{name}: {len(units)} users", "four at least", "ask for more days")
        p = np.concatenate([found.p() for found in drawn(Products(units), splits, cuped=cuped, advance=advance)])
        known = np.isfinite(p)
        if not known.any():
            raise DataError(f"{name}: all users alike", "users who differ", "leave it out")
        out[name] = Rate.of(int((p[known] < alpha).sum()), int(known.sum()))
    return out


def drawn(
    products: Products, splits: Splits, *, cuped: bool = True, advance: Callable[[float], None] = lambda _: None
) -> Iterator[Differences]:
    """The comparisons of all splits, some hundred at a time."""
    whole = products.sums.sum(axis=0)
    for members in assignments(len(products.sums), splits):
        n, sums = members.sum(axis=1), members @ products.sums
        rest = products.moments(members.shape[1] - n, whole - sums)  # who is not in the arm is in the control
        yield differences(products.moments(n, sums), rest, cuped)
        advance(len(members))


def assignments(n_users: int, splits: Splits) -> Iterator[Doubles]:
    """float64[some, users], 1 = in the arm: each user by an own draw, as a hash does it."""
    draw, step = rng(splits.seed, "aa"), max(1, CHUNK // max(1, n_users))
    for start in range(0, splits.n, step):
        shape = (min(step, splits.n - start), n_users)
        yield (draw.random(shape, np.float32) < splits.share).astype(np.float64)
