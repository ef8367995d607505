"""Late fusion: user and item meet in one hidden layer and one inner product, so that thousands of pairs cost little."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config


class LateFusionConfig(Config, frozen=True):
    """Shape of ``[prerank] kind = "mlp"``."""

    hidden_dim: Annotated[int, Meta(ge=0, description="units of the layer where user and item meet; 0 = none")] = 32
    dot_dim: Annotated[int, Meta(ge=0, description="width of the inner product beside it; 0 = none")] = 32
    tower_dim: Annotated[int, Meta(ge=1, description="hidden layer of each side, before they meet")] = 64
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.1


class LateFusion(nn.Module):
    """z = w · relu(u_h + i_h) + u_d · i_d + u_0 + i_0, where u and i are small networks of either side.

    A two-layer MLP whose first layer is the sum of both sides' shares, and a two-tower product (both are called late
    fusion). All of i is made when the model is published, all of u once per request: a pair costs K + J multiply-adds.

    Args:
        n_fields: (Fu, Fi) embedded fields of width ``embedding_dim``.
        n_numeric: (Nu, Ni) numbers; those of items such as can be known without the user.

    Attributes:
        width: P = K + J + 1 columns of either side.
    """

    Config = LateFusionConfig

    def __init__(
        self, config: LateFusionConfig, embedding_dim: int, n_fields: tuple[int, int], n_numeric: tuple[int, int]
    ) -> None:
        super().__init__()
        self.hidden_dim, self.width = config.hidden_dim, config.hidden_dim + config.dot_dim + 1
        sides = [f * embedding_dim + n for f, n in zip(n_fields, n_numeric, strict=True)]
        self.user_side, self.item_side = (Side(n, config.tower_dim, self.width) for n in sides)
        self.out = nn.Parameter(torch.randn(config.hidden_dim) * max(config.hidden_dim, 1) ** -0.5)

    def user(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> float32[R, P]."""
        out: Tensor = self.user_side(torch.cat([user.flatten(1), user_numeric], dim=1))
        return out

    def item(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        """float32[C, Fi, D], float32[C, Ni] -> float32[C, P]."""
        out: Tensor = self.item_side(torch.cat([item.flatten(1), item_numeric], dim=1))
        return out

    def forward(self, user: Tensor, item: Tensor, request_of: Tensor) -> Tensor:
        """float32[R, P], float32[C, P], int64[C] -> float32[C] logits."""
        k, own = self.hidden_dim, user[request_of]
        met = torch.relu(own[:, :k] + item[:, :k]) @ self.out
        return met + (own[:, k:-1] * item[:, k:-1]).sum(dim=1) + own[:, -1] + item[:, -1]


class Side(nn.Module):
    """One side: a ReLU layer beside a linear way past it."""

    def __init__(self, n_in: int, hidden: int, n_out: int) -> None:
        super().__init__()
        self.hidden, self.top = nn.Linear(n_in, hidden), nn.Linear(hidden, n_out)
        self.past = nn.Linear(n_in, n_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        above: Tensor = self.top(torch.relu(self.hidden(x))) + self.past(x)
        return above
