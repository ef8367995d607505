"""Seconds watched as one of K bins, learned from soft targets that know which bins are near."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from feedmill.models.heads.bins import Bins
from feedmill.models.heads.head import About, Numbers
from feedmill.models.heads.softmax import SoftmaxConfig, SoftmaxHead

ROWS = 20_000  # of the training rows, as many as centres are fitted to
RIDGE = 0.01  # of the mean square of a target: holds centres of bins that are not told apart near their means


class DistilledConfig(SoftmaxConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "distilled" }``."""

    noise: Annotated[Literal["gaussian", "laplace"], Meta(description="how a target falls off around t")] = "gaussian"
    points: Annotated[
        Literal["means", "edges"], Meta(description="where a bin stands: at its mean, or at its lower edge")
    ] = "means"
    sigma_s: Annotated[
        float | None, Meta(description="constant width of targets, above 0 s; none: sigma_per_root * sqrt(t)")
    ] = None
    sigma_per_root: Annotated[float, Meta(gt=0, description="label-aware width: times the square root of t")] = 1.5
    floor_s: Annotated[float, Meta(gt=0, description="least width of targets: sqrt(t) is 0 at 0 s")] = 1.0
    by_width: Annotated[bool, Meta(description="targets times the width of their bin, for bins that are uneven")] = (
        False
    )
    recalibrate: Annotated[
        bool, Meta(description="serve centres fitted so that targets read t on average, in the place of means")
    ] = True

    def __post_init__(self) -> None:
        if self.sigma_s is not None and not self.sigma_s > 0:
            raise ValueError("sigma_s must be above 0")


class DistilledHead(SoftmaxHead):
    """Cross-entropy to ``q_k ~ exp(-(t_k - t)^2 / (2 sigma^2))`` or ``exp(-|t_k - t| / sigma)``, normalised over bins.

    ``L = -sum_k q_k(t) log p_k``, whose gradient is that of the Kullback-Leibler divergence. At its minimum
    p_k = E[q_k(t) | x], so that centres m_k serve E[sum_k m_k q_k(t) | x]. This is E[t | x] where q(t) reads t back:

    - Bins that grow with t have more points below t than above, and means for centres then read low. ``by_width``
      gives a target the area under its curve, which takes that out, as even bins do.
    - No bin is below 0 s, so targets near 0 lean upward and read high, for any bins. Wide bins of a long tail, and
      lower edges for points with means for centres (half a bin high), do their part.
    - ``recalibrate`` takes all of it out where it can be: centres by least squares of ``sum_k m_k q_k(t)`` on t over
      the training rows, with their mean kept exactly, and a small ridge toward the means. Below the width of a bin it
      cannot tell times apart either.

    Widths: constant, or label-aware ``1.5 sqrt(t)`` with a floor. Targets are a softmax of exponents, so that they are
    finite for any t. Costs K logits, and K exponentials a row when it learns. At logits of 0 it says the average
    target.
    """

    Config = DistilledConfig
    config: DistilledConfig
    about = About(
        estimates="mean of the targets read back",
        assumes="times near t are as good as t, as near as sigma",
        bias="with means for centres low for bins that grow with t, high near 0 s; recalibrate takes it out",
        source="label distribution learning, Gao et al., IEEE TIP 2017; Diaz and Marathe, CVPR 2019",
    )
    points: Tensor
    log_width: Tensor

    def _learn(self, bins: Bins, seconds: Numbers) -> None:
        points = bins.mean if self.config.points == "means" else bins.lower
        width = np.maximum(bins.upper - bins.lower, np.float32(1e-6))
        self.register_buffer("points", torch.from_numpy(points.copy()))
        self.register_buffer("log_width", torch.from_numpy(np.log(width) * np.float32(self.config.by_width)))
        target, t = self._sample(seconds)
        share = target.mean(0) + 1e-9  # an empty bin between narrow targets
        self.log_share.copy_(torch.log(share / share.sum()))
        if self.config.recalibrate:
            self.centres.copy_(fitted_centres(target, t, self.centres.double()))

    def _sample(self, seconds: Numbers) -> tuple[Tensor, Tensor]:
        """float64[m, K] targets and float64[m] capped labels, evenly over the sorted ones."""
        m = min(len(seconds), ROWS)
        at = ((np.arange(m) + 0.5) * len(seconds) / m).astype(np.int64)
        t = self.capped(torch.from_numpy(np.sort(seconds)[at]))
        return self.target(t).double(), t.double()

    def sigma(self, seconds: Tensor) -> Tensor:
        """float32[B] -> float32[B] seconds, how wide targets are."""
        if self.config.sigma_s is not None:
            return torch.full_like(seconds, self.config.sigma_s)
        return (self.config.sigma_per_root * torch.sqrt(seconds)).clamp(min=self.config.floor_s)

    def target(self, seconds: Tensor) -> Tensor:
        """float32[B] -> float32[B, K], what the probabilities learn; each row's sum is 1."""
        t = self.capped(seconds)
        off = (self.points - t[:, None]) / self.sigma(t)[:, None]
        fall = off.square() / 2 if self.config.noise == "gaussian" else off.abs()
        return torch.softmax(self.log_width - fall, dim=1)

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K], float32[B] -> float32[B] cross-entropy in nats."""
        log_p = torch.log_softmax(logits + self.log_share, dim=1)
        return -self.config.weight * (self.target(seconds) * log_p).sum(1)


def fitted_centres(target: Tensor, seconds: Tensor, centres: Tensor) -> Tensor:
    """Centres by which targets read their label: least squares with a ridge toward the given ones, the mean kept.

    Args:
        target: float64[m, K], each row's sum 1.
        seconds: float64[m] labels.
        centres: float64[K] seconds, to start from.
    """
    square = target.T @ target
    ridge = RIDGE * square.diagonal().mean() * torch.eye(len(centres), dtype=square.dtype)
    moved = centres + torch.linalg.solve(square + ridge, target.T @ (seconds - target @ centres))
    kept: Tensor = moved + (seconds - target @ moved).mean()
    return kept
