"""The bodies of rankers as regressions of plain numbers: what studies of multi-task learning are made with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from feedmill.core.batches import Floats
from feedmill.models import RANKERS
from feedmill.models.rank.nets import uniform
from feedmill.models.rank.towers import Towers
from feedmill.train.loop import deterministic


class Regression(nn.Module):
    """The body of a ranker on plain numbers, and a tower per head whose one output is the estimate.

    Args:
        kind: of ``models.RANKERS``.
        own: parameters of the kind, as in [rank].
        n_numeric: N.
        n_heads: H.
        seed: of the weights.
    """

    def __init__(self, kind: str, own: dict[str, Any], n_numeric: int, n_heads: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        cls: Any = RANKERS[kind]
        config, n_logits = cls.Config(**own), (1,) * n_heads
        self.body = cls.Body(config, n_logits)
        self.first = nn.Parameter(uniform(1, n_numeric, self.body.width)[0].detach())
        self.bias = nn.Parameter(torch.zeros(self.body.width))
        self.towers = Towers(self.body.output_dim, config.tower_dim, n_logits)
        self.level = nn.Parameter(torch.zeros(n_heads))  # a mean other than 0 would be left to the ReLUs

    def forward(self, x: Tensor) -> Tensor:
        """float32[B, N] -> float32[B, H]."""
        estimates: Tensor = self.towers(self.body(torch.addmm(self.bias, x, self.first), ())) + self.level
        return estimates

    @property
    def n_weights(self) -> int:
        """How many numbers it learns."""
        return sum(p.numel() for p in self.parameters())


def fit_regression(model: Regression, batches: Iterable[tuple[Floats, Floats]], learning_rate: float) -> Floats:
    """Adam on the squared error.

    Args:
        batches: x float32[B, N] and y float32[B, H], one pair a step.

    Returns:
        float32[steps], the mean over rows and heads of the squared error of each step, before it.
    """
    adam = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    losses = []
    with deterministic():
        for x, y in batches:
            loss = (model(torch.from_numpy(x)) - torch.from_numpy(y)).square().mean()
            loss.backward()
            adam.step()
            adam.zero_grad()
            losses.append(loss.detach())
    return np.array([float(x) for x in losses], np.float32)
