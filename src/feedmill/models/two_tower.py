"""Two towers, late fusion: a user vector per request, an item vector per publish (Yi et al., RecSys 2019)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.models.unit import unit


class TwoTowerConfig(Config, frozen=True):
    """Parameters of a channel with ``model = "two_tower"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 32
    hidden_dims: Annotated[
        tuple[int, ...], Meta(min_length=1, description="hidden layers and output of each tower")
    ] = (128, 64)
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.2


class TwoTower(nn.Module):
    """Each tower: fields and numbers -> MLP -> vector of length 1.

    Args:
        n_fields: (Fu, Fi) embedded fields.
        n_numeric: (Nu, Ni) numbers.
    """

    Config = TwoTowerConfig

    def __init__(self, config: TwoTowerConfig, n_fields: tuple[int, int], n_numeric: tuple[int, int]) -> None:
        super().__init__()
        self.user_tower, self.item_tower = (
            _layers(f * config.embedding_dim + n, config.hidden_dims) for f, n in zip(n_fields, n_numeric, strict=True)
        )

    def user(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> unit vectors float32[R, W]."""
        return unit(self.user_tower(torch.cat([user.flatten(1), user_numeric], dim=1)))

    def item(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        """float32[C, Fi, D], float32[C, Ni] -> unit vectors float32[C, W]."""
        return unit(self.item_tower(torch.cat([item.flatten(1), item_numeric], dim=1)))


def _layers(width: int, dims: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    linear = [nn.Linear(a, b) for a, b in pairwise((width, *dims))]
    return nn.Sequential(linear[0], *(layer for x in linear[1:] for layer in (nn.ReLU(), x)))
