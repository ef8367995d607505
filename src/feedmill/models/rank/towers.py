"""From each head's representation to its logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from feedmill.models.rank.nets import uniform


class Towers(nn.Module):
    """A ReLU layer and a linear one per head; the last starts at 0, so that training starts at even odds.

    Args:
        input_dim: d.
        tower_dim: width of the ReLU layer; 0 = none.
        n_logits: of each head.
    """

    def __init__(self, input_dim: int, tower_dim: int, n_logits: Sequence[int]) -> None:
        super().__init__()
        n = len(n_logits)
        self.has_hidden = tower_dim > 0
        if self.has_hidden:
            self.hidden, self.hidden_bias = uniform(n, input_dim, tower_dim), nn.Parameter(torch.zeros(n, 1, tower_dim))
        self.out = nn.Parameter(torch.zeros(n, tower_dim or input_dim, max(n_logits)))
        self._n_logits = tuple(n_logits)

    def forward(self, x: Tensor) -> Tensor:
        """float32[H, C, d] -> float32[C, L] logits, head after head."""
        if self.has_hidden:
            x = torch.relu(torch.baddbmm(self.hidden_bias, x, self.hidden))
        return side_by_side(torch.bmm(x, self.out), self._n_logits)


def side_by_side(logits: Tensor, n_logits: Sequence[int]) -> Tensor:
    """float32[H, C, max(n_logits)] -> float32[C, L], of each head the columns that it has."""
    if set(n_logits) == {1}:
        return logits.squeeze(2).t()
    return torch.cat([logits[h, :, :n] for h, n in enumerate(n_logits)], dim=1)
