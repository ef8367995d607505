"""Seconds watched as one of K bins: a softmax over bins, served as the mean of their centres."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from feedmill.models.heads.bins import BinnedConfig, Bins, bins_of
from feedmill.models.heads.head import About, Numbers, WatchTimeHead


class SoftmaxConfig(BinnedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "softmax" }``."""


class SoftmaxHead(WatchTimeHead):
    """Which bin t falls into by cross-entropy, ``L = -log p_b``; served is ``sum_k m_k p_k``.

    At its minimum p_k = P(t in bin k | x), so that with means for centres it serves E[t | x] as far as the mean inside
    a bin is the same for all x: exactly for labels of K values, within the spread of the widest bin otherwise. Of
    equal-frequency bins this is the last, with the long tail in it: long items read some per cent off at 50 bins, and
    exponential bins (``growth = 10``) do not. With medians it reads low where times inside a bin lean to the right.
    Costs K logits.

    Logits are read on top of the log of each bin's share of the training rows: at 0 the head says what they say.
    Log-softmax, finite for any logits.

    Attributes:
        n_logits: K, fewer than ``n_bins`` where many rows share a label (``bins_of``).
        edges: float32[K - 1] seconds.
        centres: float32[K] seconds.
    """

    Config = SoftmaxConfig
    config: SoftmaxConfig
    about = About(
        estimates="mean",
        assumes="no shape; inside a bin, the same mean for all x",
        bias="none with means for centres; with medians low by the lean inside the widest bins",
        source="multi-class regression by classes of equal frequency, as widely used; after Weiss and Indurkhya, 1995",
    )
    edges: Tensor
    centres: Tensor
    log_share: Tensor

    def __init__(self, config: SoftmaxConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        bins = bins_of(config, seconds)
        self.n_logits = len(bins.mean)
        self.register_buffer("edges", torch.from_numpy(bins.edges))
        self.register_buffer("log_share", torch.from_numpy(np.log(bins.share)))
        self.register_buffer("centres", torch.from_numpy(bins.mean if config.centre == "mean" else bins.median))
        self._learn(bins, seconds)

    def _learn(self, bins: Bins, seconds: Numbers) -> None:
        """What a kind of targets has to know besides."""

    def bin_of(self, seconds: Tensor) -> Tensor:
        """float32[B] -> int64[B], the bin that each falls into."""
        return (self.capped(seconds)[:, None] > self.edges).sum(1)

    def target(self, seconds: Tensor) -> Tensor:
        """float32[B] -> float32[B, K], what the probabilities learn: 1 in the row's own bin."""
        return (self.bin_of(seconds)[:, None] == torch.arange(self.n_logits)).to(seconds.dtype)

    def probs(self, logits: Tensor) -> Tensor:
        """float32[B, K] -> float32[B, K] of the bins, each row's sum 1."""
        return torch.softmax(logits + self.log_share, dim=1)

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K], float32[B] -> float32[B] cross-entropy in nats."""
        log_p = torch.log_softmax(logits + self.log_share, dim=1)
        return -self.config.weight * log_p.gather(1, self.bin_of(seconds)[:, None])[:, 0]

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K] -> float32[B] seconds, within the centres."""
        return self.capped((self.probs(logits) * self.centres).sum(1))
