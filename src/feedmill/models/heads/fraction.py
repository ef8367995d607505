"""Seconds watched by logistic regression on t / (1 + t), whose odds are t."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.models.heads.cuts import capped_labels
from feedmill.models.heads.head import About, Numbers, WatchTimeConfig, WatchTimeHead


class FractionConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "fraction" }``."""

    weighted: Annotated[
        bool, Meta(description="rows count 1 + t, which makes it the mean: weighted cross-entropy of scheme 3")
    ] = False


class FractionHead(WatchTimeHead):
    """L = -(y log p + (1 - y) log(1 - p)), y = t / (1 + t), p = s(z), stable as y sp(-z) + (1 - y) sp(z); serves e^z.

    At its minimum e^z = E[y | x] / (1 - E[y | x]) = 1 / E[1 / (1 + t) | x] - 1, a harmonic mean of 1 + t less 1: where
    some rows are skipped at once it is far below the mean, and says rather how few are. Rows that count 1 + t have
    L = t sp(-z) + sp(z), ``wce`` of scheme 3, whose odds are the mean of t. z is the logit plus the logarithm of the
    best constant's odds, so that a model starts there.

    Raises:
        DataError: all labels are the same.
    """

    Config = FractionConfig
    config: FractionConfig
    about = About(
        estimates="1 / mean(1 / (1 + t)) - 1; weighted: mean",
        assumes="t hardly varies given x; weighted: nothing",
        bias="far below the mean where some skip at once; none when weighted",
        source="S. Wang, lectures on industrial recommender systems, on playback",
    )
    start: Tensor

    def __init__(self, config: FractionConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t = capped_labels(seconds, config.cap_s)
        odds = float(t.mean() if config.weighted else 1 / (1 / (1 + t)).mean() - 1)
        self.register_buffer("start", torch.tensor(math.log(odds)))

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1], float32[B] seconds -> float32[B]; a gradient of p - y, times 1 + t when weighted."""
        z, t = logits[:, 0] + self.start, self.capped(seconds)
        rest = torch.ones_like(t) if self.config.weighted else 1 / (1 + t)  # 1 - y, times 1 + t when weighted
        return self.config.weight * rest * (t * softplus(-z) + softplus(z))

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1] -> float32[B] seconds, ``cap_s`` at most."""
        return torch.exp((logits[:, 0] + self.start).clamp(max=math.log(self.config.cap_s)))
