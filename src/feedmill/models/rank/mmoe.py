"""Multi-gate mixture of experts (Ma et al., KDD 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.rank.config import DeepConfig
from feedmill.models.rank.nets import Nets, mix
from feedmill.models.rank.ranker import Ranker


class MMoEConfig(DeepConfig, frozen=True):
    """Parameters of ``[rank] kind = "mmoe"``."""

    n_experts: Annotated[int, Meta(ge=1, description="experts shared by the heads")] = 4


class MMoEBody(nn.Module):
    """f_h(x) = sum_e softmax(W_h x)_e expert_e(x): every head has a gate of its own."""

    is_linear = False

    def __init__(self, config: MMoEConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        self.n_heads, self.n_experts = len(n_logits), config.n_experts
        self.experts = Nets(config.n_experts, config.hidden_dims)
        self.width = self.experts.width + self.n_heads * config.n_experts
        self.output_dim, self.gated = config.hidden_dims[-1], self.experts.gated

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, d]."""
        hidden, sums = self.experts.begin(first)
        shares = torch.softmax(sums.view(-1, self.n_heads, self.n_experts), dim=2)
        return mix(shares, self.experts.above(hidden, gates))


class MMoERanker(Ranker):
    """y_h = tower_h(f_h(x))."""

    Config = MMoEConfig
    Body = MMoEBody
