"""POSO: newness and activity decide how much each hidden unit counts (Dai et al. 2021, arXiv 2108.04690)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.models.rank.personal.gates import Gates, Ids


class POSOConfig(Config, frozen=True):
    """Parameters of ``[rank.personal] kind = "poso"``."""

    hidden_dim: Annotated[int, Meta(ge=1, description="hidden layer of each gate net")] = 32
    scale: Annotated[float, Meta(gt=1, description="C: a unit is scaled by 0 to this")] = 2.0
    code: Annotated[
        tuple[str, ...],
        Meta(description='numbers of the user that say how new and active, such as "user.impression.*"; none = all'),
    ] = ()


class POSO(nn.Module):
    """x̂_l = C · g_l(pc) ⊙ relu(W_l x) for every hidden layer l: the masked form, of linear layers and so of MLPs.

    pc, the personalisation code, is the user's numbers that say how new and how active. Among all others they fall to
    nothing in a first layer that few new users train; here they act on every unit. g_l is an MLP with a sigmoid. As
    C · g > 0, it is the same before the ReLU and after it. ``poso_modules`` has the forms that stand on their own.

    Args:
        n_numeric: (Nu, Ni) numbers of user and item.
        gated: widths of the hidden layers to be scaled.
        code: positions of the code among the user's numbers; none = all. Other parameters are PPNet's: a ranker need
            not know which of the two it holds.

    Raises:
        ConfigError: there are no numbers of the user to read.
    """

    Config = POSOConfig

    def __init__(
        self,
        config: POSOConfig,
        n_fields: tuple[int, int],
        n_numeric: tuple[int, int],
        gated: Sequence[int],
        *,
        embedding_dim: int,
        ids: Ids = ((0,), (0,)),
        code: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if n_numeric[0] == 0:
            raise ConfigError(
                'rank.personal.kind = "poso" with features that have no numbers of the user',
                "counters of the user, which tell new users from old ones",
                'set features.numbers = "all", count events per user in [state], or use kind = "ppnet"',
            )
        self.gate_nets = Gates(config.hidden_dim, gated, config.scale)
        self.width = self.gate_nets.width
        self.code: Tensor
        self.register_buffer("code", torch.tensor(list(code) or range(n_numeric[0])), persistent=False)
        self.from_code = nn.Linear(len(self.code), self.width)

    def user_first(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> float32[R, width]; embeddings are not read."""
        out: Tensor = self.from_code(user_numeric[:, self.code])
        return out

    def item_first(self, item: Tensor) -> Tensor:
        """float32[C, Fi, D] -> zeros float32[C, width]: whom it is shown to is all that counts."""
        return item.new_zeros(item.shape[0], self.width)

    def gates(self, first: Tensor) -> list[Tensor]:
        """float32[C, width] -> float32[C, w_l] for each gated layer."""
        out: list[Tensor] = self.gate_nets(first)
        return out
