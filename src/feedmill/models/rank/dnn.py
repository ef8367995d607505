"""Single-task networks side by side: what multi-task learning is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from feedmill.models.rank.config import DeepConfig
from feedmill.models.rank.nets import Nets
from feedmill.models.rank.ranker import Ranker


class DNNConfig(DeepConfig, frozen=True):
    """Parameters of ``[rank] kind = "dnn"``."""


class DNNBody(nn.Module):
    """Every head has a net of its own, and nothing but the embeddings is shared."""

    is_linear = False

    def __init__(self, config: DNNConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        self.nets = Nets(len(n_logits), config.hidden_dims)
        self.width, self.gated, self.output_dim = self.nets.width, self.nets.gated, config.hidden_dims[-1]

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, d]."""
        out: Tensor = self.nets(first, gates)
        return out


class DNNRanker(Ranker):
    """y_h = tower_h(net_h(x)); with one head, a plain deep network."""

    Config = DNNConfig
    Body = DNNBody
