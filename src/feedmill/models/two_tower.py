"""Two towers, late fusion: a user vector per request, an item vector per publish (Yi et al., RecSys 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config


class TwoTowerConfig(Config, frozen=True):
    """Parameters of a channel with ``model = "two_tower"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 32
    hidden_dims: Annotated[tuple[int, int], Meta(description="hidden layer and output of each tower")] = (
        128,
        64,
    )
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.2
    temperature: Annotated[float, Meta(gt=0, description="cosines are divided by it in the loss")] = 0.07


class TwoTower(nn.Module):
    """Each tower: fields and numbers -> MLP -> vector of length 1.

    Args:
        n_fields: (Fu, Fi) embedded fields.
        n_numeric: (Nu, Ni) numbers.
    """

    Config = TwoTowerConfig

    def __init__(self, config: TwoTowerConfig, n_fields: tuple[int, int], n_numeric: tuple[int, int]) -> None:
        super().__init__()
        d, (hidden, out) = config.embedding_dim, config.hidden_dims
        self.user_tower, self.item_tower = (
            nn.Sequential(nn.Linear(f * d + n, hidden), nn.ReLU(), nn.Linear(hidden, out))
            for f, n in zip(n_fields, n_numeric, strict=True)
        )

    def user(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> unit vectors float32[R, W]."""
        return _unit(self.user_tower(torch.cat([user.flatten(1), user_numeric], dim=1)))

    def item(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        """float32[C, Fi, D], float32[C, Ni] -> unit vectors float32[C, W]."""
        return _unit(self.item_tower(torch.cat([item.flatten(1), item_numeric], dim=1)))


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return unit
