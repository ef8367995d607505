"""Multi-gate mixture of experts (Ma et al., KDD 2018) over embedded fields, their dot products, and numbers."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config


class MMoEConfig(Config, frozen=True):
    """Parameters of ``[rank] kind = "mmoe"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 32
    n_experts: Annotated[int, Meta(ge=1, description="experts shared by the heads")] = 4
    hidden_dims: Annotated[tuple[int, int], Meta(description="the two layers of an expert")] = (64, 32)
    tower_dim: Annotated[int, Meta(ge=1, description="hidden layer of each head's tower")] = 16
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.3


class MMoERanker(nn.Module):
    """y_h = tower_h(sum_e softmax(W_h x)_e expert_e(x)), plus a linear term in the dot products and numbers.

    x holds the user's fields, the item's fields, every user field · item field (Naumov et al. 2019: an MLP learns
    products badly), and the numbers of both. The user's share of the first layer is computed once per request.

    Args:
        n_fields: (Fu, Fi) embedded fields of user and item.
        n_numeric: (Nu, Ni) numbers of user and item.
        n_heads: H.
    """

    Config = MMoEConfig

    def __init__(self, config: MMoEConfig, n_fields: tuple[int, int], n_numeric: tuple[int, int], n_heads: int) -> None:
        super().__init__()
        d, e, (h1, h2) = config.embedding_dim, config.n_experts, config.hidden_dims
        user_dim = n_fields[0] * d + n_numeric[0]
        item_dim = n_fields[1] * d + n_numeric[1] + n_fields[0] * n_fields[1]
        self._dims = (e, n_heads, h1)
        wide = e * h1 + n_heads * e  # the experts' first layers and the gates are one matrix product
        self.from_user = nn.Linear(user_dim, wide)
        self.from_item = nn.Linear(item_dim, wide, bias=False)
        self.second = nn.Parameter(torch.empty(e, h1, h2))
        self.second_bias = nn.Parameter(torch.zeros(e, 1, h2))
        nn.init.kaiming_uniform_(self.second, a=5**0.5)
        self.tower = nn.Parameter(torch.empty(n_heads, h2, config.tower_dim))
        self.tower_bias = nn.Parameter(torch.zeros(n_heads, 1, config.tower_dim))
        nn.init.kaiming_uniform_(self.tower, a=5**0.5)
        self.out = nn.Parameter(torch.zeros(n_heads, config.tower_dim, 1))
        self.wide = nn.Linear(item_dim - n_fields[1] * d, n_heads)

    def forward(
        self, user: Tensor, user_numeric: Tensor, item: Tensor, item_numeric: Tensor, request_of: Tensor
    ) -> Tensor:
        """Embedded fields and numbers -> logits.

        Args:
            user: float32[R, Fu, D].
            user_numeric: float32[R, Nu].
            item: float32[C, Fi, D].
            item_numeric: float32[C, Ni].
            request_of: int64[C], the request of each candidate.

        Returns:
            float32[C, H] logits.
        """
        e, n_heads, h1 = self._dims
        dots = (item @ user[request_of].transpose(1, 2)).flatten(1)
        plain = torch.cat([dots, item_numeric], dim=1)
        x_user = torch.cat([user.flatten(1), user_numeric], dim=1)
        x_item = torch.cat([item.flatten(1), plain], dim=1)
        first = self.from_user(x_user)[request_of] + self.from_item(x_item)
        hidden = torch.relu(first[:, : e * h1]).view(-1, e, h1).transpose(0, 1)
        experts = torch.relu(torch.bmm(hidden, self.second) + self.second_bias)  # [e, C, h2]
        gates = torch.softmax(first[:, e * h1 :].unflatten(1, (n_heads, e)), dim=2)  # [C, H, e]
        mixed = torch.bmm(gates, experts.transpose(0, 1)).transpose(0, 1)  # [H, C, h2]
        towers = torch.relu(torch.bmm(mixed, self.tower) + self.tower_bias)
        logits: Tensor = torch.bmm(towers, self.out).squeeze(2).t() + self.wide(plain)
        return logits
