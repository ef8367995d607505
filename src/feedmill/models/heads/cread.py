"""Seconds from many thresholds (Sun et al., "CREAD", AAAI 2024)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import huber_loss, softplus

from feedmill.models.heads.cuts import Doubles, bin_means, capped_labels, inner_edges
from feedmill.models.heads.head import About, Numbers, WatchTimeConfig, WatchTimeHead


class CREADConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "cread" }``."""

    n_bins: Annotated[int, Meta(ge=2, le=1000, description="bins of watch time, a threshold between each two")] = 32
    alpha: Annotated[
        float, Meta(ge=0, le=50, description="0 = as many rows per bin; the higher, the finer the bins of the tail")
    ] = 2.0
    restore: Annotated[
        Literal["edges", "means"],
        Meta(description="a threshold passed adds its bin's width (the paper's), or the step between bins' means"),
    ] = "edges"
    restore_weight: Annotated[float, Meta(ge=0, description="of Huber's loss on the restored seconds")] = 0.3
    huber_delta: Annotated[
        float, Meta(gt=0, description="errors beyond it count by their size, in standard deviations of t")
    ] = 1.0
    order_weight: Annotated[float, Meta(ge=0, description="of the penalty on chances that rise with the threshold")] = (
        1.0
    )


class CREADHead(WatchTimeHead):
    """P(t > e_m) for thresholds e_1 < e_2 < ..., and seconds restored as sum_m c_m P(t > e_m) (+ the first bin's mean).

    Loss = mean_m of the cross-entropy of [t > e_m] + restore_weight Huber((t^ - t) / s) + order_weight mean_m
    max(0, P(t > e_m+1) - P(t > e_m)), s the labels' standard deviation. P = sigmoid(z_m + b_m) with b_m the log-odds
    over all training rows, so that logits of 0 restore what everybody watches; stable as sp(-z) or sp(z).

    Error-adaptive discretisation: e_m = the labels' quantile at g(m / M), g(u) = (1 - e^(-alpha u)) / (1 - e^-alpha).
    Equal frequency (alpha = 0) leaves the tail in one wide bin, which restores badly; equal width leaves few rows per
    threshold, which learns badly; alpha bends from the first towards the second. Equal thresholds are merged.

    ``edges`` restores as published: t = integral of P(t > y) dy taken at the bins' upper edges, c_m = e_m - e_(m-1)
    with e_0 = 0 and e_M the largest label. The curve falls, so that the sum lies below E[t]: 0.94 of an exponential's
    mean at the default bins, 0.91 with Huber's term. ``means`` restores m_1 + sum (m_(k+1) - m_k) P(t > e_k) from the
    bins' mean labels, which is E[t] where a bin's mean does not depend on x. Huber's loss is least between the median
    and the mean, so it draws skewed t low either way (means: 0.95 of an exponential's mean; without it 1.00).

    The paper gives the three terms; their weights, the scale of the second, the mean instead of the sum over m, the
    biases b_m and ``means`` are ours.

    Raises:
        DataError: all labels are the same, or there are fewer rows than bins.
    """

    Config = CREADConfig
    config: CREADConfig
    about = About(
        estimates="mean by thresholds, drawn to the Huber centre",
        assumes="nothing of its form; bins fine enough",
        bias="low by about half a bin with edges; Huber's term draws skewed t low",
        source="Sun et al., AAAI 2024",
    )
    edges: Tensor
    steps: Tensor
    first: Tensor
    start: Tensor
    scale: Tensor

    def __init__(self, config: CREADConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t = capped_labels(seconds, config.cap_s, config.n_bins)
        edges = inner_edges(t, adaptive_levels(config.n_bins, config.alpha)[1:-1])
        means, first = bin_means(t, edges), 0.0
        if config.restore == "edges":
            edges = np.append(edges, t.max())
            steps = np.diff(edges, prepend=0.0)
        else:
            first, steps = means[0], np.diff(means)
        self.n_logits = len(edges)
        passed = ((t[:, None] > edges).sum(axis=0) + 0.5) / (len(t) + 1)  # half a row each way: none is 0 or 1
        start = np.log(passed / (1 - passed))
        for name, values in {"edges": edges, "steps": steps, "first": first, "start": start, "scale": t.std()}.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, M], float32[B] seconds -> float32[B]."""
        config, z, t = self.config, logits + self.start, self.capped(seconds)
        passed = t[:, None] > self.edges
        chance = torch.sigmoid(z)
        restored = self.first + (chance * self.steps).sum(dim=1)
        far = huber_loss(restored / self.scale, t / self.scale, reduction="none", delta=config.huber_delta)
        rise = (chance[:, 1:] - chance[:, :-1]).clamp(min=0).sum(dim=1) / self.n_logits
        each = torch.where(passed, softplus(-z), softplus(z)).mean(dim=1)
        return config.weight * (each + config.restore_weight * far + config.order_weight * rise)

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, M] -> float32[B] seconds."""
        return self.capped(self.first + (torch.sigmoid(logits + self.start) * self.steps).sum(dim=1))


def adaptive_levels(n_bins: int, alpha: float) -> Doubles:
    """float64[n_bins + 1], levels of the label's distribution from 0 to 1: even for alpha = 0, denser near 1 beyond."""
    u = np.linspace(0, 1, n_bins + 1)
    levels: Doubles = u if alpha == 0 else np.expm1(-alpha * u) / np.expm1(-alpha)
    return levels
