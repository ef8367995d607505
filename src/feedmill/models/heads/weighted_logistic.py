"""Seconds watched by weighted logistic regression (Covington, Adams and Sargin, RecSys 2016, section 4.2)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.core.clock import rng
from feedmill.models.heads.head import About, Examples, Numbers, WatchTimeConfig, WatchTimeHead


class WeightedLogisticConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "weighted_logistic" }``."""

    weight: Annotated[float, Meta(gt=0, description="of this loss beside the other heads': its rows weigh seconds")] = (
        0.05
    )
    way: Annotated[
        Literal["scale", "repeat"],
        Meta(description="scale: a watched row's gradient times t; repeat: the row t times, fractions by chance"),
    ] = "scale"
    correct_rate: Annotated[
        bool, Meta(description="serve e^z times the share of rows not watched, which makes it the mean")
    ] = False


class WeightedLogisticHead(WatchTimeHead):
    """Watched rows are positives of weight t, the others negatives of weight 1; the odds e^z are served as seconds.

    At its minimum e^z = sum of t over the watched rows / number of unwatched rows = E[t] / (1 - share watched): near
    the mean of seconds over all rows while few are watched, and high by 1 / (1 - share watched) where many are.
    ``correct_rate`` multiplies by the training rows' share of unwatched ones, right where it is the same for all x.
    """

    Config = WeightedLogisticConfig
    config: WeightedLogisticConfig
    about = About(
        estimates="mean / (1 - share watched)",
        assumes="few rows are watched",
        bias="high by 1 / (1 - share watched); correct_rate takes the overall share out",
        source="Covington, Adams and Sargin, RecSys 2016, section 4.2",
    )
    unwatched: Tensor

    def __init__(self, config: WeightedLogisticConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        share = max(float((seconds == 0).mean()), 1 / len(seconds)) if config.correct_rate else 1.0
        self.register_buffer("unwatched", torch.tensor(share))

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1] logits, float32[B] seconds (0 = not watched) -> float32[B], t sp(-z) or sp(z)."""
        z, t = logits[:, 0], self.capped(seconds)
        return self.config.weight * torch.where(t > 0, t * softplus(-z), softplus(z))

    def examples(self, seconds: Numbers, seed: int) -> Examples | None:
        """Watched rows t times each, 2.3 s twice and with chance 0.3 a third time; the others once."""
        if self.config.way == "scale":
            return None
        t = np.minimum(seconds, self.config.cap_s)
        times = np.floor(t + rng(seed, "weighted_logistic", "repeat").random(len(t))).astype(np.int64)
        row = np.repeat(np.arange(len(t)), np.where(t > 0, times, 1))
        return Examples(row, (t[row] > 0).astype(np.float32), np.ones(len(row), np.float32))

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1] -> float32[B] seconds, ``cap_s`` at most."""
        return self.unwatched * torch.exp(logits[:, 0].clamp(max=math.log(self.config.cap_s)))
