"""Quantiles of seconds watched by the pinball loss (Koenker and Bassett, Econometrica 1978)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from feedmill.core.errors import ConfigError
from feedmill.models.heads.cuts import Doubles, capped_labels
from feedmill.models.heads.head import About, Numbers
from feedmill.models.heads.repaired import RepairedConfig, RepairedHead

Level = Annotated[float, Meta(gt=0, lt=1)]


class QuantileConfig(RepairedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "quantile" }``."""

    levels: Annotated[
        tuple[Level, ...],
        Meta(
            min_length=1, description="which quantiles, ascending; several are served as their mean, each for its span"
        ),
    ] = (0.5,)
    transform: Annotated[
        Literal["none", "log"], Meta(description="of t before its quantiles are learned: ln(1 + t), or t as it is")
    ] = "none"

    def __post_init__(self) -> None:
        """Raise ConfigError unless the levels ascend."""
        if any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ConfigError(f"levels = {list(self.levels)}", "each above the one before it", "sort them")


class QuantileHead(RepairedHead):
    """With u = t or ln(1 + t): q_k = Q_k + s z_k, pinball loss max(tau_k (u - q_k), (tau_k - 1)(u - q_k)) / s.

    At its minimum q_k is the tau_k-quantile of u given x, and so of t given x: quantiles go through any rising
    transform, which the mean does not. Q_k is the quantile of all training labels and s their standard deviation, so
    that a logit of 0 says "like everybody". The loss is the mean over k, its slope in z_k is [u < q_k] - tau_k: never
    more than 1, however far off, which is why replays and the cap do not pull (and why it cannot estimate the mean).

    One level of 0.5 is served as the median. Several levels are served as sum_k c_k q_k with c_k the share of [0, 1]
    that is nearest to tau_k, which is E[t] = integral of the quantile over (0, 1) by the midpoint rule: K even levels
    (2k - 1) / 2K miss what lies beyond the last, 0.95 of an exponential's mean at K = 7, 0.99 at K = 35. Quantiles of
    separate logits may cross; their mean does not mind. ``repair`` makes up what they lack to the mean, by factors
    from the labels (``retransformation``) or "learned" for every x (``lift``), with a logit more.

    Raises:
        DataError: all labels are the same.
    """

    Config = QuantileConfig
    config: QuantileConfig
    about = About(
        estimates="median; the mean, about, from several levels",
        assumes="nothing of its form",
        bias="low: the median of skewed t; several levels miss the tail; a learned repair makes it the mean",
        source="Koenker and Bassett, Econometrica 1978; several levels: Lin et al., arXiv 2407.12223, 2024",
    )
    levels: Tensor
    share: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, config: QuantileConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t = capped_labels(seconds, config.cap_s)
        u = np.log1p(t) if config.transform == "log" else t
        levels = np.array(config.levels)
        self.n_logits = len(levels)
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))
        self.register_buffer("share", torch.tensor(_spans(levels), dtype=torch.float32))
        self.register_buffer("centre", torch.tensor(np.quantile(u, levels), dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(float(u.std())))
        self.begin(t, duration)

    def own_loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] seconds -> float32[B], mean pinball loss in standard deviations."""
        u = torch.log1p(seconds) if self.config.transform == "log" else seconds
        off = (u[:, None] - self.centre) / self.scale - logits[:, : len(self.levels)]
        return torch.maximum(self.levels * off, (self.levels - 1) * off).mean(dim=1)

    def quantiles(self, logits: Tensor) -> Tensor:
        """float32[B, n_logits] -> float32[B, K] seconds, one per level."""
        q = self.centre + self.scale * logits[:, : len(self.levels)]
        if self.config.transform == "none":
            return q
        return torch.expm1(q.clamp(max=float(np.log1p(self.config.cap_s))))

    def low(self, logits: Tensor, duration: Tensor) -> Tensor:
        """The quantiles' mean, float32[B] seconds."""
        return (self.capped(self.quantiles(logits)) * self.share).sum(dim=1)

    def turned_back(self, t: Doubles) -> float:
        """The mean of the quantiles of t."""
        levels = np.array(self.config.levels)
        return float(np.quantile(t, levels) @ _spans(levels))


def _spans(levels: Doubles) -> Doubles:
    """The share of [0, 1] nearest to each level."""
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    spans: Doubles = np.diff(borders)
    return spans
