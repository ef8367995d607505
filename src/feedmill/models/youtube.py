"""YouTube candidate generation: a user vector from averaged histories, a softmax over items (Covington et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.models.unit import unit


class YouTubeConfig(Config, frozen=True):
    """Parameters of ``[train.NAME] kind = "youtube"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector, and of the user's")] = 64
    hidden_dims: Annotated[
        tuple[int, ...], Meta(description="ReLU layers below the user vector; the paper's tower is 1024, 512, 256")
    ] = (256, 128)
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.1
    residual: Annotated[bool, Meta(description="add the mean of the user's fields to what the layers say")] = True
    cosine: Annotated[bool, Meta(description="vectors of length 1; the paper has plain inner products")] = True


class YouTube(nn.Module):
    """User: mean of the last watches, mean of search tokens, profile, age and example age with powers -> ReLU layers.

    Item: its row of the table, which is its softmax weight: shared with the histories, or a row of its own with
    ``features.separate_items``. Order within a history is dropped on purpose. Items beyond ``features.top_items`` by
    frequency have the zero vector and are left to other channels.

    Args:
        n_fields: (Fu, 1) embedded fields.
        n_numeric: (Nu, 0) numbers.
    """

    Config = YouTubeConfig
    defaults: ClassVar[Mapping[str, Any]] = {
        "features": {
            "only": ["user.*", "item.id"],
            "leave_out": ["user.id"],
            "histories": {"clicked": [50]},
            "numbers": "user",
            "searches": 10,
            "example_age": True,
        },
        "examples_per_user": 50,
    }

    def __init__(self, config: YouTubeConfig, n_fields: tuple[int, int], n_numeric: tuple[int, int]) -> None:
        super().__init__()
        d = config.embedding_dim
        dims = [n_fields[0] * d + n_numeric[0], *config.hidden_dims]
        layers = [layer for a, b in pairwise(dims) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(dims[-1], d))
        self.cosine, self.residual = config.cosine, config.residual

    def user(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> float32[R, D]."""
        x = self.layers(torch.cat([user.flatten(1), user_numeric], dim=1))
        x = x + user.mean(1) if self.residual else x
        return unit(x) if self.cosine else x

    def item(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        """float32[C, 1, D] -> float32[C, D]."""
        return unit(item[:, 0]) if self.cosine else item[:, 0]
