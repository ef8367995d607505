"""Whether an item is watched to its end, and how that compares with items as long."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.core.errors import DataError
from feedmill.models.heads.cuts import Doubles
from feedmill.models.heads.head import About, Numbers, WatchTimeConfig, WatchTimeHead

PRIOR_ROWS = 20  # of the overall rate, added to each group of durations: a small group says little


class FinishConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "finish" }``."""

    share: Annotated[float, Meta(gt=0, description="finished: watched for more than this share of the duration")] = 0.95
    fair: Annotated[
        bool, Meta(description="serve the probability over that of items as long; false: the probability itself")
    ] = True
    n_groups: Annotated[int, Meta(ge=1, le=1000, description="groups of equal size the curve of durations has")] = 20


class FinishHead(WatchTimeHead):
    """``P(t > share x duration)`` by cross-entropy, served over f(duration), the rate at which such items are.

    ``L = y sp(-z) + (1 - y) sp(z)`` with sp = log(1 + e^z); gradient s(z) - y. At its minimum s(z) = P(finished | x),
    without bias. Short items are finished more often whatever they are worth, so a plain probability in a fusion
    favours them; p / f(duration) is 1 for an item as good as others of its length. Neither is seconds.

    f: finished rows over rows in groups of equal size by duration, each smoothed with its neighbours (1-2-1) and
    with 20 rows of the overall rate; straight lines of log-duration between the groups' means, level beyond the
    ends. It is at least ``20 x rate / (n + 20)``, so that what is served is finite. Costs one logit.

    Attributes:
        knots: float32[G] log-seconds, rising.
        rates: float32[G] of (0, 1).
    """

    Config = FinishConfig
    config: FinishConfig
    gives = "finish"
    reads_duration = True
    about = About(
        estimates="probability to watch more than a share of the duration, over that of items as long",
        assumes="nothing of t",
        bias="none as a probability; it is not seconds",
        source="finish rate over its curve by duration, as used in short-video fusion",
    )
    log_odds: Tensor
    knots: Tensor
    rates: Tensor

    def __init__(self, config: FinishConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        finished = self.finished(torch.from_numpy(seconds), torch.from_numpy(duration)).numpy()
        rate = float(finished.mean(dtype=np.float64))
        if not 0 < rate < 1:
            raise DataError(
                f"{'all' if rate else 'none'} of {len(seconds):,} rows watched for more than {config.share:.0%} of the "
                "duration",
                "rows of both kinds",
                f"{'raise' if rate else 'lower'} share, or check watch times and duration_s",
            )
        known = duration > 0  # not where it is NaN
        knots, rates = _curve(np.log(duration[known].astype(np.float64)), finished[known], rate, config.n_groups)
        self.register_buffer("log_odds", torch.tensor(math.log(rate / (1 - rate)), dtype=torch.float32))
        self.register_buffer("knots", torch.from_numpy(knots.astype(np.float32)))
        self.register_buffer("rates", torch.from_numpy(rates.astype(np.float32)))

    def finished(self, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B] watched, float32[B] duration -> float32[B] of 0 and 1."""
        return (seconds > self.config.share * self.known(duration)).to(seconds.dtype)

    def typical(self, duration: Tensor) -> Tensor:
        """float32[B] duration -> float32[B], f: the rate at which items as long are finished."""
        along = torch.log(self.known(duration))[:, None] - self.knots[:-1]
        lengths = self.knots.diff().clamp(min=1e-6)  # groups of durations that are all but the same
        return self.rates[0] + (along.clamp(min=0).minimum(lengths) * (self.rates.diff() / lengths)).sum(1)

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1], float32[B], float32[B] -> float32[B] cross-entropy in nats."""
        z = logits[:, 0] + self.log_odds
        return self.config.weight * torch.where(self.finished(seconds, duration) > 0, softplus(-z), softplus(z))

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1], float32[B] -> float32[B] times as likely as for items as long, or probabilities."""
        probs = torch.sigmoid(logits[:, 0] + self.log_odds)
        return probs / self.typical(duration) if self.config.fair else probs


def _curve(log_duration: Doubles, finished: Numbers, rate: float, n_groups: int) -> tuple[Doubles, Doubles]:
    """(knots, rates) of at least two groups; fewer than asked for where many durations are the same."""
    edges = np.unique(np.quantile(log_duration, np.arange(1, n_groups) / n_groups, method="inverted_cdf"))
    group = np.searchsorted(edges[edges < log_duration.max()], log_duration, "left")
    rows = np.bincount(group).astype(np.float64)
    knots = np.bincount(group, log_duration) / rows
    n, k = _smooth(rows), _smooth(np.bincount(group, finished).astype(np.float64))
    rates = (k + PRIOR_ROWS * rate) / (n + PRIOR_ROWS)
    if len(knots) == 1:  # one length: a level line
        knots, rates = np.append(knots, knots + 1), np.repeat(rates, 2)
    return knots, rates


def _smooth(x: Doubles) -> Doubles:
    """Weights 1-2-1, the ends repeated."""
    padded = np.pad(x, 1, mode="edge")
    smooth: Doubles = (padded[:-2] + 2 * x + padded[2:]) / 4
    return smooth
