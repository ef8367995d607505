"""One-gate mixture of experts: MMoE's own baseline (Ma et al., KDD 2018; Jacobs et al. 1991)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.rank.config import DeepConfig
from feedmill.models.rank.nets import Nets, mix
from feedmill.models.rank.ranker import Ranker


class OMoEConfig(DeepConfig, frozen=True):
    """Parameters of ``[rank] kind = "omoe"``."""

    n_experts: Annotated[int, Meta(ge=1, description="experts shared by the heads")] = 4


class OMoEBody(nn.Module):
    """f_h(x) = sum_e softmax(W x)_e expert_e(x), the same for every head."""

    is_linear = False

    def __init__(self, config: OMoEConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        self.n_heads = len(n_logits)
        self.experts = Nets(config.n_experts, config.hidden_dims)
        self.width = self.experts.width + config.n_experts
        self.output_dim, self.gated = config.hidden_dims[-1], self.experts.gated

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, d], the same for each head."""
        hidden, sums = self.experts.begin(first)
        mixed = mix(torch.softmax(sums, dim=1).unsqueeze(1), self.experts.above(hidden, gates))
        return mixed.expand(self.n_heads, -1, -1)


class OMoERanker(Ranker):
    """y_h = tower_h(f(x))."""

    Config = OMoEConfig
    Body = OMoEBody
