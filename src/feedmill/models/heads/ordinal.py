"""Seconds watched by K - 1 questions: did they watch beyond this edge? (Frank and Hall, ECML 2001)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.models.heads.bins import BinnedConfig, bins_of
from feedmill.models.heads.head import About, Numbers, WatchTimeHead


class OrdinalConfig(BinnedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "ordinal" }``."""


class OrdinalHead(WatchTimeHead):
    """A binary task per bin, p_k = P(t > lower edge of bin k), served as ``sum_k (m_k - m_(k-1)) p_k`` with m_0 = 0.

    ``L = mean_k [y_k sp(-z_k) + (1 - y_k) sp(z_k)]``, sp = log(1 + e^z), the whole cross-entropy: its positive half
    alone is least where all p_k = 1. Everybody is in the first bin or above, p_1 = 1, so that K bins take K - 1 logits.
    At its minimum the sum is ``sum_k m_k P(t in bin k | x)``, what a softmax over the same bins serves: the mean, with
    means for centres, as far as the mean inside a bin is the same for all x. With upper edges, P(t > edge) of each bin
    would leave out the bin's own rows and read about a bin low.

    The p_k are not made to fall with k; no step m_k - m_(k-1) is below 0, so what is served lies within the centres all
    the same. Logits are read on top of the log-odds of the training rows: at 0 the head says what they say. Finite for
    any logits; the gradient of each is at most 1 / (K - 1). Costs K - 1 logits.

    Attributes:
        n_logits: K - 1, fewer than asked for where many rows share a label (``bins_of``).
        edges: float32[K - 1] seconds, the lower edges of bins 2 to K.
        steps: float32[K - 1] seconds, m_k - m_(k-1) of bins 2 to K.
        first: float32[], m_1.
    """

    Config = OrdinalConfig
    config: OrdinalConfig
    about = About(
        estimates="mean",
        assumes="no shape; inside a bin, the same mean for all x",
        bias="none with means for centres; with medians low by the lean inside the widest bins",
        source="Frank and Hall, ECML 2001; Niu et al., CVPR 2016",
    )
    edges: Tensor
    steps: Tensor
    first: Tensor
    log_odds: Tensor

    def __init__(self, config: OrdinalConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        bins = bins_of(config, seconds)
        self.n_logits = len(bins.edges)
        above = bins.share[::-1].cumsum(dtype=np.float64)[::-1][1:]
        centres = bins.mean if config.centre == "mean" else bins.median
        self.register_buffer("edges", torch.from_numpy(bins.edges))
        self.register_buffer("steps", torch.from_numpy(np.diff(centres)))
        self.register_buffer("first", torch.tensor(centres[0]))
        self.register_buffer("log_odds", torch.from_numpy(np.log(above / (1 - above)).astype(np.float32)))

    def target(self, seconds: Tensor) -> Tensor:
        """float32[B] -> float32[B, K - 1] of 0 and 1, whether they watched beyond each lower edge."""
        return (self.capped(seconds)[:, None] > self.edges).to(seconds.dtype)

    def probs(self, logits: Tensor) -> Tensor:
        """float32[B, K - 1] -> float32[B, K - 1] of watching beyond each lower edge."""
        return torch.sigmoid(logits + self.log_odds)

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K - 1], float32[B] -> float32[B] mean cross-entropy of the tasks in nats."""
        z = logits + self.log_odds
        return self.config.weight * torch.where(self.target(seconds) > 0, softplus(-z), softplus(z)).mean(1)

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K - 1] -> float32[B] seconds, within the centres."""
        return self.capped(self.first + (self.probs(logits) * self.steps).sum(1))
