"""The second half of a gate net: from its hidden layer to one factor for every unit that it scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from feedmill.core.errors import ConfigError

Ids = tuple[tuple[int, ...], tuple[int, ...]]
"""Positions of the id fields proper among the fields of the user (user) and of the item (item, author)."""


class Gates(nn.Module):
    """delta_l = scale · sigmoid(W'_l relu(first_l) + b'_l), with a net of its own for each gated layer l.

    W' starts at 0 and b' where delta = 1, so training starts at the plain model; with scale = 2 exactly.

    Args:
        hidden_dim: width of each gate net's hidden layer.
        gated: widths w_l of the layers to be scaled.
        scale: upper bound of a factor, > 1.

    Attributes:
        width: columns of ``first``, hidden_dim for each gated layer.

    Raises:
        ConfigError: there is no layer to scale.
    """

    def __init__(self, hidden_dim: int, gated: Sequence[int], scale: float) -> None:
        super().__init__()
        if not gated:
            raise ConfigError(
                "rank.personal on a ranker that names no layers to scale",
                "a kind whose body has hidden layers, which the gates scale",
                'set rank.kind = "dnn" or "mmoe", or leave out [rank.personal]',
            )
        self._scale, self.width = scale, hidden_dim * len(gated)
        self.last = nn.ModuleList(nn.Linear(hidden_dim, width) for width in gated)
        for layer in self.last:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.constant_(layer.bias, -math.log(scale - 1))  # type: ignore[arg-type]

    def forward(self, first: Tensor) -> list[Tensor]:
        """float32[..., width] before the ReLU -> a float32[..., w_l] in (0, scale) for each gated layer."""
        hidden = torch.chunk(torch.relu(first), len(self.last), dim=-1)
        return [self._scale * torch.sigmoid(last(h)) for last, h in zip(self.last, hidden, strict=True)]
