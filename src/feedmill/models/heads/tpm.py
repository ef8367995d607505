"""Seconds by a tree of questions (Lin et al., "Tree based Progressive Regression Model", KDD 2023: TPM)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import logsigmoid

from feedmill.models.heads.bins import BinnedConfig, bins_of
from feedmill.models.heads.cuts import Doubles
from feedmill.models.heads.head import About, Numbers, WatchTimeConfig, WatchTimeHead


class TPMConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "tpm" }``."""

    n_leaves: Annotated[int, Meta(ge=2, le=1024, description="bins of watch time, as many rows in each")] = 16
    centre: Annotated[
        Literal["mean", "midpoint"],
        Meta(description="what a leaf counts for; midpoints, the paper's, read skewed t high"),
    ] = "mean"
    variance_weight: Annotated[
        float,
        Meta(ge=0, description="of the predicted variance over that of all labels: surer, and no longer the mean"),
    ] = 0.1
    error_weight: Annotated[float, Meta(ge=0, description="of the squared error over the variance of all labels")] = 0.2


class TPMHead(WatchTimeHead):
    """A balanced binary tree over K bins of watch time; each of its K - 1 inner nodes asks "the longer half?".

    P(leaf) = product along its path of sigmoid(+-z); E = sum of P(leaf) m_leaf is served; V = sum P(leaf) m_leaf^2 -
    E^2. Loss = -ln P(the row's leaf) + error_weight (E - t)^2 / s^2 + variance_weight V / s^2, s^2 the labels'
    variance. The first term is cross-entropy at the nodes of the row's path only, in the stable form ln sigmoid; a
    node learns P(t in its right half | t in its halves, x). z is counted from the node's log-odds over all training
    rows, so that logits of 0 serve the labels' mean.

    With variance_weight 0 and leaves' means the minimum is at the leaves' chances and E is E[t], as far as a leaf's
    mean does not depend on x: both terms agree on it. The variance term is not a proper score: it is least when one
    leaf has all the chance, sharpens the distribution and moves E towards the crowded short end: at K = 16 0.93 of an
    exponential's mean at the default weight, 0.80 at 0.5, 0.73 at 1. Midpoints overrate each leaf whose density falls,
    and the last one most: 1.19 of an exponential's mean without the other terms.

    Ours: the weights, relative to the labels' variance; V in place of its root, whose slope has no bound at 0; leaves'
    means. The paper's back-door adjustment, a mean of the tree's answers over groups of duration, is left to the
    ranker: it needs the network's answer for each group.

    Raises:
        DataError: all labels are the same, or there are fewer rows than leaves.
    """

    Config = TPMConfig
    config: TPMConfig
    about = About(
        estimates="mean by leaves, drawn to the likeliest leaf",
        assumes="nothing of its form; leaves fine enough",
        bias="the variance term moves skewed t low; midpoints read high",
        source="Lin et al., KDD 2023",
    )
    edges: Tensor
    leaf: Tensor
    right: Tensor
    left: Tensor
    start: Tensor
    variance: Tensor

    def __init__(self, config: TPMConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        bins = bins_of(BinnedConfig(n_bins=config.n_leaves, cap_s=config.cap_s), seconds)
        leaf = bins.mean if config.centre == "mean" else (bins.lower + bins.upper) / 2
        left, right = tree(len(leaf))
        start = np.log(right @ bins.share) - np.log(left @ bins.share)
        variance = np.minimum(seconds, config.cap_s).var(dtype=np.float64)
        self.n_logits = len(bins.edges)
        for name, values in {
            "edges": bins.edges, "leaf": leaf, "left": left, "right": right, "start": start, "variance": variance
        }.items():  # fmt: skip
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K - 1], float32[B] seconds -> float32[B]."""
        config, t, ln = self.config, self.capped(seconds), self.ln_leaves(logits)
        own = (t[:, None] > self.edges).sum(dim=1, keepdim=True)
        chance = ln.exp()
        mean = (chance * self.leaf).sum(dim=1)
        variance = (chance * (self.leaf - mean[:, None]).square()).sum(dim=1)
        off = config.error_weight * (mean - t).square() + config.variance_weight * variance
        return config.weight * (off / self.variance - ln.gather(1, own)[:, 0])

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, K - 1] -> float32[B] seconds."""
        return self.capped((self.ln_leaves(logits).exp() * self.leaf).sum(dim=1))

    def ln_leaves(self, logits: Tensor) -> Tensor:
        """float32[B, K - 1] -> float32[B, K], ln of each leaf's chance."""
        z = logits + self.start
        return logsigmoid(z) @ self.right + logsigmoid(-z) @ self.left


def tree(n_leaves: int) -> tuple[Doubles, Doubles]:
    """Two float64[K - 1, K] of 0 and 1: which leaves lie left and right of each node of a balanced tree of K leaves."""
    left, right = np.zeros((2, n_leaves - 1, n_leaves))
    halves = [(0, n_leaves)]
    for node in range(n_leaves - 1):
        low, high = halves.pop(0)
        middle = (low + high + 1) // 2
        left[node, low:middle] = 1
        right[node, middle:high] = 1
        halves += [half for half in ((low, middle), (middle, high)) if half[1] - half[0] > 1]
    return left, right
