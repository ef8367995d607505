"""Seconds watched by weighted logistic regression (Covington, Adams and Sargin, RecSys 2016, section 4.2)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.core.config import Config


class WeightedLogisticConfig(Config, frozen=True):
    """Parameters of ``watch_time = { kind = "weighted_logistic" }``."""

    cap_s: Annotated[float, Meta(gt=0, description="longer watches count as this many seconds")] = 3600.0
    weight: Annotated[float, Meta(gt=0, description="of this loss beside the other heads': its rows weigh seconds")] = (
        0.05
    )


class WeightedLogisticHead:
    """Watched rows are positives of weight t, the others negatives of weight 1; the odds e^z are served as seconds.

    At its minimum e^z = sum of t over the watched rows / number of unwatched rows = E[t] / (1 - share watched): near
    the mean of seconds over all rows while few are watched, and high by 1 / (1 - share watched) where many are.

    Attributes:
        gives: what ``predict`` returns.
    """

    Config = WeightedLogisticConfig
    n_logits = 1
    gives = "seconds"
    reads_duration = False

    def __init__(self, config: WeightedLogisticConfig | None = None) -> None:
        self.config = config or WeightedLogisticConfig()

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor | None = None) -> Tensor:
        """float32[B, 1] logits, float32[B] seconds (0 = not watched) -> float32[B], t sp(-z) or sp(z)."""
        z, t = logits[:, 0], seconds.clamp(0, self.config.cap_s)
        return self.config.weight * torch.where(t > 0, t * softplus(-z), softplus(z))

    def predict(self, logits: Tensor, duration: Tensor | None = None) -> Tensor:
        """float32[B, 1] -> float32[B] seconds, ``cap_s`` at most."""
        return torch.exp(logits[:, 0].clamp(max=math.log(self.config.cap_s)))
