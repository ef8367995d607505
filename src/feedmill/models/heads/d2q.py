"""Ranks of watch time among items as long (Zhan et al., "Deconfounding Duration Bias", KDD 2022: D2Q)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.models.heads.cuts import Doubles, capped_labels
from feedmill.models.heads.head import About, Numbers
from feedmill.models.heads.repaired import RepairedConfig, RepairedHead


class D2QConfig(RepairedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "d2q" }``."""

    n_groups: Annotated[int, Meta(ge=1, le=1000, description="groups of duration, with as many rows each")] = 20
    n_steps: Annotated[int, Meta(ge=2, le=1000, description="steps of a group's table of quantiles")] = 100
    error: Annotated[
        Literal["squared", "cross_entropy"],
        Meta(description="between rank and sigmoid: squared is the paper's, cross_entropy keeps its slope far off"),
    ] = "squared"


class D2QHead(RepairedHead):
    """Rows are grouped by duration; the label is r = F_g(t), the row's rank in its group; F_g^-1(sigmoid(z)) is served.

    Loss: 12 (p - r)^2 with p = sigmoid(z) (12 = one over a rank's variance, so that knowing nothing costs 1), or the
    cross-entropy r sp(-z) + (1 - r) sp(z). Both are least at p = E[r | x], the mean rank, and what is served is the
    group's quantile at the mean rank: where x says no more than the duration, the median of the group, which is below
    its mean for skewed t. It is the median of t given x where ranks lie even about their mean. ``repair`` makes up
    what it lacks to the mean: by factors from the labels, mean over median (``retransformation``), right where x says
    no more than the duration, or "learned" for every x (``lift``). The duration counts in seconds only, by F_g: the
    network learns which of videos as long is watched longer.

    F_g is kept as ``n_steps`` + 1 quantiles, read in both directions by straight lines; rows with equal labels share
    their mean rank. Groups have equal frequency in the training rows, fewer of them where durations coincide or a group
    would have under two rows; an unknown duration counts as the median one. One network learns all groups (the paper's
    figure 5b); the variant that adds the duration to the network is a matter of its features.

    Raises:
        DataError: all labels are the same, no duration is known, or there are fewer than two rows.
    """

    Config = D2QConfig
    config: D2QConfig
    reads_duration = True
    about = About(
        estimates="group's quantile at the mean rank",
        assumes="t of items as long has one distribution, which x moves along",
        bias="near the median: low against the mean of skewed t; a learned repair makes it the mean",
        source="Zhan et al., KDD 2022",
    )
    edges: Tensor
    table: Tensor

    def __init__(self, config: D2QConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t = capped_labels(seconds, config.cap_s, 2)
        length = np.where(np.isnan(duration), self.typical_s.numpy(), duration)
        edges, group = _groups(length, min(config.n_groups, len(t) // 2))
        levels = np.linspace(0, 1, config.n_steps + 1)
        table = np.stack([np.quantile(t[group == g], levels) for g in range(len(edges) + 1)])
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32))
        self.register_buffer("table", torch.tensor(table, dtype=torch.float32))
        self.begin(t, duration)

    def turned_back(self, t: Doubles) -> float:
        """The median."""
        return float(np.median(t))

    def own_loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] seconds, float32[B] -> float32[B]."""
        z, rank = logits[:, 0], self.rank(seconds, duration)
        if self.config.error == "squared":
            return 12 * (torch.sigmoid(z) - rank).square()
        return rank * softplus(-z) + (1 - rank) * softplus(z)

    def rank(self, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B] seconds, float32[B] -> float32[B] in [0, 1], the share that watched less, equals half."""
        t, table = self.capped(seconds)[:, None], self._of_group(duration)
        n_steps = self.config.n_steps
        below, up_to = (table < t).sum(dim=1), (table <= t).sum(dim=1)
        last = (up_to - 1).clamp(0, n_steps - 1)[:, None]
        low, high = table.gather(1, last), table.gather(1, last + 1)
        within = ((t - low) / (high - low).clamp(min=torch.finfo(t.dtype).tiny))[:, 0].clamp(0, 1)
        between = (last[:, 0] + within).clamp(0, n_steps)
        equal = (below + up_to - 1) / 2
        return torch.where(up_to > below, equal, torch.where(up_to == 0, 0, between)) / n_steps

    def low(self, logits: Tensor, duration: Tensor) -> Tensor:
        """The quantile at the predicted rank, float32[B] seconds."""
        step = self.config.n_steps * torch.sigmoid(logits[:, :1])
        places = torch.arange(self.config.n_steps + 1, device=logits.device)
        near = (1 - (step - places).abs()).clamp(min=0)  # of each step: 1 on it, 0 from the next one on
        return (near * self._of_group(duration)).sum(dim=1)

    def _of_group(self, duration: Tensor) -> Tensor:
        """float32[B] -> float32[B, n_steps + 1], the quantiles of each row's group."""
        return self.table[(self.known(duration)[:, None] > self.edges).sum(dim=1)]


def _groups(length: Numbers, n_groups: int) -> tuple[Numbers, np.ndarray]:
    """(float32[G - 1] upper edges, int64[n] group of each row): G <= n_groups, of two rows or more."""
    levels = np.arange(1, n_groups) / n_groups
    edges = np.unique(np.quantile(length, levels, method="inverted_cdf"))
    edges = edges[edges < length.max()].astype(np.float32)
    while True:
        group = np.searchsorted(edges, length, side="left")
        small = np.flatnonzero(np.bincount(group, minlength=len(edges) + 1) < 2)
        if not len(small) or not len(edges):
            break
        edges = np.delete(edges, min(small[0], len(edges) - 1))
    return edges, group
