"""PPNet: user, item and author scale every hidden unit (Kuaishou; Chang et al., PEPNet, KDD 2023, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.models.rank.personal.gates import Gates, Ids


class PPNetConfig(Config, frozen=True):
    """Parameters of ``[rank.personal] kind = "ppnet"``."""

    hidden_dim: Annotated[int, Meta(ge=1, description="hidden layer of each gate net")] = 32
    scale: Annotated[float, Meta(gt=1, description="gamma: a unit is scaled by 0 to this")] = 2.0


class PPNet(nn.Module):
    """delta_l = gamma · sigmoid(W'_l relu(W_l g + b_l) + b'_l), the factors of hidden layer l.

    g holds the embeddings of user, item and author, through which the gate learns, and everything else that either
    side knows beforehand (the other fields, the user's numbers) with the gradient stopped: a gate must not bend
    what the body below it reads. Dots and the item's numbers, which change from request to request, stay outside, so
    that W g falls into the user's share, computed once per request, and the item's, computed once per publish.

    Args:
        n_fields: (Fu, Fi) embedded fields of user and item.
        n_numeric: (Nu, Ni) numbers of user and item.
        gated: widths of the hidden layers to be scaled.
        ids: which of the fields are user, item and author.
        code: POSO's, not read here.
    """

    Config = PPNetConfig

    def __init__(
        self,
        config: PPNetConfig,
        n_fields: tuple[int, int],
        n_numeric: tuple[int, int],
        gated: Sequence[int],
        *,
        embedding_dim: int,
        ids: Ids = ((0,), (0,)),
        code: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.gate_nets = Gates(config.hidden_dim, gated, config.scale)
        self.width = self.gate_nets.width
        self.from_user = nn.Linear(n_fields[0] * embedding_dim + n_numeric[0], self.width)
        self.from_item = nn.Linear(n_fields[1] * embedding_dim, self.width, bias=False)
        self.user_ids: Tensor
        self.item_ids: Tensor
        self.register_buffer("user_ids", _marked(n_fields[0], ids[0]), persistent=False)
        self.register_buffer("item_ids", _marked(n_fields[1], ids[1]), persistent=False)

    def user_first(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> float32[R, width], biases included."""
        known = _learning(user, self.user_ids).flatten(1)
        out: Tensor = self.from_user(torch.cat([known, user_numeric], dim=1))
        return out

    def item_first(self, item: Tensor) -> Tensor:
        """float32[C, Fi, D] -> float32[C, width]."""
        out: Tensor = self.from_item(_learning(item, self.item_ids).flatten(1))
        return out

    def gates(self, first: Tensor) -> list[Tensor]:
        """float32[C, width], user's and item's shares added -> float32[C, w_l] for each gated layer."""
        out: list[Tensor] = self.gate_nets(first)
        return out


def _marked(n: int, ids: Sequence[int]) -> Tensor:
    """bool[n, 1], True at the ids."""
    marks = torch.zeros(n, 1, dtype=torch.bool)
    marks[list(ids)] = True
    return marks


def _learning(fields: Tensor, is_id: Tensor) -> Tensor:
    """The same numbers; the gradient flows through id fields alone."""
    return torch.where(is_id, fields, fields.detach())
