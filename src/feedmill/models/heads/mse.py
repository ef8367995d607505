"""Seconds watched by least squares, on the seconds or on a power or logarithm of them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from feedmill.models.heads.cuts import Doubles, capped_labels
from feedmill.models.heads.head import About, Numbers
from feedmill.models.heads.repaired import RepairedConfig, RepairedHead

POWER = 0.3


class MSEConfig(RepairedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "mse" }``."""

    transform: Annotated[
        Literal["none", "log", "power"], Meta(description="none: of t; log: of log(1 + t); power: of t^0.3")
    ] = "log"


class MSEHead(RepairedHead):
    """L = (z - y)^2 with y = (g(t) - mean) / standard deviation of the training rows, so that no label is far from 0.

    It estimates E[g(t) | x] and serves g^-1 of it: the mean of t for "none", where the longest watches rule the
    gradient; for "log" exp(E[log(1 + t)]) - 1 and for "power" E[t^0.3]^(1/0.3), both below the mean (Jensen), the
    more the wider t spreads. ``repair`` makes up what they lack, "learned" for every x (``lift``).
    Least squares are the likelihood of normal errors of one variance, which g(t) is nearer to than t.

    Raises:
        DataError: all labels are the same.
    """

    Config = MSEConfig
    config: MSEConfig
    about = About(
        estimates="mean; log and power: g^-1 of the mean of g(t)",
        assumes="g(t) = a mean + normal errors of one variance",
        bias="none without transform; log and power low, by the spread of t (Jensen)",
        source="Gauss 1809; repair: Duan, Journal of the American Statistical Association 1983",
    )
    mean: Tensor
    std: Tensor

    def __init__(self, config: MSEConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t = capped_labels(seconds, config.cap_s)
        y = _transformed(t, config.transform)
        self.register_buffer("mean", torch.tensor(float(y.mean())))
        self.register_buffer("std", torch.tensor(float(y.std())))
        self.limit = float(_transformed(np.array(config.cap_s), config.transform))
        self.begin(t, duration)

    def own_loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] seconds -> float32[B]; a gradient of 2 (z - y)."""
        t, transform = seconds, self.config.transform
        y = t if transform == "none" else torch.log1p(t) if transform == "log" else t**POWER
        return (logits[:, 0] - (y - self.mean) / self.std) ** 2

    def low(self, logits: Tensor, duration: Tensor) -> Tensor:
        """g^-1 of what is estimated, float32[B] seconds."""
        y, transform = (self.mean + self.std * logits[:, 0]).clamp(0.0, self.limit), self.config.transform
        return y if transform == "none" else torch.expm1(y) if transform == "log" else y ** (1 / POWER)

    def turned_back(self, t: Doubles) -> float:
        """g^-1 of the mean of g(t)."""
        y = _transformed(t, self.config.transform).mean()
        return float({"none": y, "log": np.expm1(y), "power": y ** (1 / POWER)}[self.config.transform])


def _transformed(t: Doubles, transform: str) -> Doubles:
    return t if transform == "none" else np.log1p(t) if transform == "log" else t**POWER
