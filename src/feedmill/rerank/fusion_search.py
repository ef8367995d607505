"""Weights of the fusion fitted to what was logged: an order of each user's rows that puts what the target counts first.

Learned on some users and judged on others, against equal weights. What is judged never chose the weights, so where
there is nothing to gain nothing is gained. The rows must not be those that the ranker learned from: there its
probabilities know the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.progress import progress
from feedmill.metrics.intervals import Interval, bootstrap, paired_difference
from feedmill.rerank.fusion import combine

Doubles = NDArray[np.float64]
FACTORS = (0.0, 0.5, 0.8, 1.25, 2.0, 4.0)  # what one step of the ascent tries for each weight
MOST_ROUNDS = 12
LEAST_USERS = 20  # on each side: with fewer, an interval over users says nothing


class SearchConfig(Config, frozen=True):
    """How ``feedmill tune fusion`` searches."""

    trials: Annotated[int, Meta(ge=1, description="random weights to start from; the best goes uphill")] = 100
    held_share: Annotated[float, Meta(gt=0, lt=1, description="share of users that only judge")] = 0.5
    form: Annotated[str, Meta(pattern="^(sum|product)$", description="of the fusion")] = "sum"
    offset: Annotated[float, Meta(ge=0, description="a of the product form")] = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """n shown rows and what came of them.

    Attributes:
        heads: H names.
        probs: float64[n, H], of a ranker that did not learn from these rows.
        user: int64[n].
        target: float64[n] at least 0: what an order should put first, such as seconds watched.
    """

    heads: tuple[str, ...]
    probs: Doubles
    user: NDArray[np.int64]
    target: Doubles

    def take(self, rows: NDArray[Any]) -> Logged:
        """The given rows."""
        return Logged(self.heads, self.probs[rows], self.user[rows], self.target[rows])


class Found(NamedTuple):
    """What a search found, and what it is worth to users that it has not seen.

    Attributes:
        weights: by head; equal ones where the others are not surely better.
        tried: the best on the users that chose, whatever the judging ones say.
        gain: NDCG with ``tried`` less NDCG with equal weights, of the same judging users.
        equal, found: the two of them.
        is_better: the gain's whole interval is above 0.
    """

    weights: dict[str, float]
    tried: dict[str, float]
    gain: Interval
    equal: Interval
    found: Interval
    is_better: bool


def target_of(labels: NDArray[Any], mask: NDArray[Any], heads: Sequence[str], worth: Mapping[str, float]) -> Doubles:
    """float64[n]: sum of worth of a head times its label (1 a like, or the seconds watched); unknown labels add 0.

    Raises:
        ConfigError: no such label, or a worth below 0: NDCG has no gains below nothing.
    """
    out = np.zeros(len(labels))
    for head, each in worth.items():
        if head not in heads:
            raise ConfigError(f'target: no label "{head}"', f"one of {list(heads)}", nearest(head, heads))
        if not (np.isfinite(each) and each >= 0):
            raise ConfigError(f"target: {head} = {each}", "a worth of 0 or more")
        h = list(heads).index(head)
        out += each * np.where(mask[:, h], labels[:, h], 0.0)
    return out


def search(rows: Logged, config: SearchConfig, seed: int) -> Found:
    """Weights >= 0, the largest 1: random ones first, then uphill one weight at a time.

    Rows with a missing (not finite) probability are left out, and users whose rows are all worth the same.

    Raises:
        DataError: no heads, a target below 0 or not finite, or too few users with rows to tell apart.
    """
    rows = _usable(rows)
    users = np.unique(rows.user)
    judges = users[rng(seed, "fusion", "users").random(len(users)) < config.held_share]
    judging = np.isin(rows.user, judges)
    if min(len(judges), len(users) - len(judges)) < LEAST_USERS:
        raise DataError(
            f"{len(users)} users with rows that differ in the target",
            f"at least {LEAST_USERS} to choose by and as many to judge",
            "log more, or choose a target that is less rare",
        )
    choosing, judged = (_Judge(rows.take(at), config, seed) for at in (~judging, judging))
    best = _uphill(choosing, _random(choosing, rows.probs, config, seed))
    equal = np.ones(len(rows.heads))
    before, after = judged.ndcg(equal), judged.ndcg(best)
    gain = paired_difference(after, before, seed)
    tried = _named(rows.heads, best)
    weights = tried if gain.low > 0 else _named(rows.heads, equal)
    return Found(weights, tried, gain, bootstrap(before, seed), bootstrap(after, seed), gain.low > 0)


class _Judge:
    """NDCG of each user's rows in the order of a fused value; ties in an order drawn once."""

    def __init__(self, rows: Logged, config: SearchConfig, seed: int) -> None:
        shuffled = rng(seed, "fusion", "ties").permutation(len(rows.user))
        rows = rows.take(shuffled[np.argsort(rows.user[shuffled], kind="stable")])
        _, first, of = np.unique(rows.user, return_index=True, return_inverse=True)
        self.rows, self.of, self.first, self.config = rows, of, first, config
        place = np.arange(len(of)) - first[of]
        self.discount = 1 / np.log2(place + 2.0)
        self.ideal = self._gained(rows.target)

    def ndcg(self, weights: Doubles) -> Doubles:
        """float64[U]."""
        value = combine(self.rows.probs, weights, self.config.form, self.config.offset)
        return np.asarray(self._gained(np.nan_to_num(value, nan=-np.inf)) / self.ideal, np.float64)

    def mean(self, weights: Doubles) -> float:
        """Over the users."""
        return float(self.ndcg(weights).mean())

    def _gained(self, value: Doubles) -> Doubles:
        by = np.lexsort((-value, self.of))
        return np.asarray(np.add.reduceat(self.rows.target[by] * self.discount, self.first), np.float64)


def _random(judge: _Judge, probs: Doubles, config: SearchConfig, seed: int) -> Doubles:
    """The best of equal weights and ``trials`` random ones, even in the logarithm of what each head's spread weighs."""
    random = rng(seed, "fusion", "weights")
    spread = np.maximum(probs.std(axis=0), 1e-9)
    best = np.ones(probs.shape[1])
    score = judge.mean(best)
    with progress("trying weights", config.trials) as advance:
        for _ in range(config.trials):
            tried = 10 ** random.uniform(-1.5, 1.5, probs.shape[1]) / spread
            tried /= tried.max()
            value = judge.mean(tried)
            if value > score:
                best, score = tried, value
            advance(1)
    return best


def _uphill(judge: _Judge, weights: Doubles) -> Doubles:
    """One weight at a time by a factor, as long as that helps; the largest is 1 in the end."""
    score = judge.mean(weights)
    for _ in range(MOST_ROUNDS):
        before = score
        for h in range(len(weights)):
            for factor in FACTORS:
                tried = weights.copy()
                tried[h] *= factor
                if tried.any() and (value := judge.mean(tried)) > score:
                    weights, score = tried, value
        if score <= before:
            break
    return np.asarray(weights / weights.max(), np.float64)


def _usable(rows: Logged) -> Logged:
    lengths = [len(rows.probs), len(rows.user), len(rows.target)]
    if len(set(lengths)) > 1 or rows.probs.ndim != 2 or rows.probs.shape[1] != len(rows.heads) or not rows.heads:
        raise DataError(f"shapes {rows.probs.shape} for {list(rows.heads)}, lengths {lengths}", "[n, H], [n], [n]")
    if not (np.isfinite(rows.target) & (rows.target >= 0)).all():
        raise DataError("a target below 0 or not finite", "0 or more, such as seconds watched")
    rows = rows.take(np.flatnonzero(np.isfinite(rows.probs).all(axis=1)))
    _, of = np.unique(rows.user, return_inverse=True)
    n = int(of.max(initial=-1)) + 1
    low, high = np.full(n, np.inf), np.zeros(n)
    np.minimum.at(low, of, rows.target)
    np.maximum.at(high, of, rows.target)
    return rows.take(np.flatnonzero((low < high)[of]))


def _named(heads: tuple[str, ...], weights: Doubles) -> dict[str, float]:
    """Three significant digits, so that they can be pasted."""
    return {head: float(f"{w:.3g}") for head, w in zip(heads, weights.tolist(), strict=True)}
