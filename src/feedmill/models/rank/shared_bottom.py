"""One network below all heads (Caruana 1997)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from feedmill.models.rank.config import DeepConfig
from feedmill.models.rank.nets import Nets
from feedmill.models.rank.ranker import Ranker


class SharedBottomConfig(DeepConfig, frozen=True):
    """Parameters of ``[rank] kind = "shared_bottom"``."""


class SharedBottomBody(nn.Module):
    """f_h(x) = f(x) for every head."""

    is_linear = False

    def __init__(self, config: SharedBottomConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        self.n_heads = len(n_logits)
        self.bottom = Nets(1, config.hidden_dims)
        self.width, self.gated, self.output_dim = self.bottom.width, self.bottom.gated, config.hidden_dims[-1]

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, d], the same for each head."""
        out: Tensor = self.bottom(first, gates)
        return out.expand(self.n_heads, -1, -1)


class SharedBottomRanker(Ranker):
    """y_h = tower_h(f(x))."""

    Config = SharedBottomConfig
    Body = SharedBottomBody
