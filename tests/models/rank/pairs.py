"""Small inputs of a ranker."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from feedmill.models import RANKERS

DIM = 4


def made(
    kind: str,
    n_fields: tuple[int, int] = (3, 2),
    n_numeric: tuple[int, int] = (2, 4),
    n_logits: tuple[int, ...] = (1, 1),
    **config: Any,
) -> Any:
    """A ranker of width 4 with parameters that are nowhere 0."""
    torch.manual_seed(1)
    cls: Any = RANKERS[kind]
    model = cls(cls.Config(embedding_dim=DIM, **config), n_fields, n_numeric, n_logits)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    return model


def pairs(
    n_fields: tuple[int, int] = (3, 2), n_numeric: tuple[int, int] = (2, 4), n_requests: int = 3, n_rows: int = 7
) -> list[Tensor]:
    """user, user_numeric, item, item_numeric, request_of."""
    torch.manual_seed(0)
    return [
        torch.randn(n_requests, n_fields[0], DIM),
        torch.rand(n_requests, n_numeric[0]),
        torch.randn(n_rows, n_fields[1], DIM),
        torch.rand(n_rows, n_numeric[1]),
        torch.arange(n_rows) % n_requests,
    ]


def first_sums(model: Any, x: list[Tensor]) -> Tensor:
    """The first layer by hand: everything side by side, times the weights."""
    user, user_numeric, item, item_numeric, of = x
    dots = torch.einsum("cfd,cgd->cfg", item, user[of]).flatten(1) if model.n_dots else item.new_zeros(len(item), 0)
    everything = torch.cat(
        [user.flatten(1)[of], user_numeric[of], item.flatten(1), dots, item_numeric, torch.ones(len(item), 1)], dim=1
    )
    return everything @ torch.cat([model.from_user, model.from_item])
