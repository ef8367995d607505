"""Progressive layered extraction (Tang et al., RecSys 2020); with one level, customized gate control (CGC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.rank.config import DeepConfig
from feedmill.models.rank.nets import Nets, mix, uniform
from feedmill.models.rank.ranker import Ranker


class PLEConfig(DeepConfig, frozen=True):
    """Parameters of ``[rank] kind = "ple"``."""

    n_shared: Annotated[int, Meta(ge=1, description="experts of a level that all heads read")] = 2
    n_own: Annotated[int, Meta(ge=1, description="experts of a level that one head alone reads")] = 1
    n_levels: Annotated[int, Meta(ge=1, le=4, description="levels of experts; 1 = CGC")] = 2


class CGCBody(nn.Module):
    """One level: head h mixes its own experts and the shared ones by a gate of its own.

    A level below another also gives what the next level's shared experts read: all experts, mixed by one more gate.

    Args:
        is_last: no level follows.

    Attributes:
        shares: columns of each group of the first layer's sums: all experts (own by head, then shared), the heads'
            gates, and the shared gate.
    """

    def __init__(self, config: PLEConfig, n_heads: int, is_last: bool) -> None:
        super().__init__()
        self.n_heads, self.n_own, self.n_shared = n_heads, config.n_own, config.n_shared
        n_experts = n_heads * config.n_own + config.n_shared
        self.experts = Nets(n_experts, config.hidden_dims)
        self.n_read = config.n_own + config.n_shared  # experts that one head reads
        self.shares = (self.experts.width, n_heads * self.n_read, 0 if is_last else n_experts)

    def forward(self, first: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """float32[C, sum(shares)] -> float32[H, C, d], or [H + 1, C, d] with what is shared, if a level follows."""
        hidden, sums = self.experts.begin(first)
        experts = self.experts.above(hidden, gates)
        own, shared = sums[:, : self.shares[1]], sums[:, self.shares[1] :]
        weights = torch.softmax(own.reshape(-1, self.n_heads, self.n_read), dim=2)
        n_private = self.n_heads * self.n_own
        out = [
            mix(weights[:, h : h + 1], torch.cat([experts[h * self.n_own : (h + 1) * self.n_own], experts[n_private:]]))
            for h in range(self.n_heads)
        ]
        if self.shares[2]:
            out.append(mix(torch.softmax(shared, dim=1).unsqueeze(1), experts))
        return torch.cat(out)


class PLEBody(nn.Module):
    """Levels of experts: each head's experts of a level read what that head mixed below, shared ones what all did."""

    is_linear = False

    def __init__(self, config: PLEConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        n_heads, d = len(n_logits), config.hidden_dims[-1]
        self.levels = nn.ModuleList(
            CGCBody(config, n_heads, level == config.n_levels - 1) for level in range(config.n_levels)
        )
        self.width, self.output_dim = sum(self.levels[0].shares), d  # type: ignore[arg-type]
        self.gated = tuple(w for level in self.levels for w in level.experts.gated)  # type: ignore[union-attr]
        self._n_gated = len(config.hidden_dims)
        self.between = nn.ModuleList(Between(config, n_heads, level) for level in self.levels[1:])  # type: ignore[arg-type]

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, d]."""
        n = self._n_gated
        out: Tensor = self.levels[0](first, gates[:n])
        for i, between in enumerate(self.between, start=1):
            out = self.levels[i](between(out), gates[i * n : (i + 1) * n])
        return out


class Between(nn.Module):
    """The sums that a level reads: head h's experts and gate from what h mixed, the shared ones from what all did."""

    def __init__(self, config: PLEConfig, n_heads: int, level: CGCBody) -> None:
        super().__init__()
        d, h = config.hidden_dims[-1], config.hidden_dims[0]
        self.widths = [(config.n_own * h, level.n_read)] * n_heads + [(config.n_shared * h, level.shares[2])]
        self.weights = nn.ParameterList(nn.Parameter(uniform(1, d, sum(w))[0].detach()) for w in self.widths)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(sum(w))) for w in self.widths)

    def forward(self, x: Tensor) -> Tensor:
        """float32[H + 1, C, d] -> float32[C, width], in the order of ``CGCBody.shares``."""
        sums = [torch.addmm(b, x[g], w) for g, (w, b) in enumerate(zip(self.weights, self.biases, strict=True))]
        experts = [s[:, :inner] for s, (inner, _) in zip(sums, self.widths, strict=True)]
        return torch.cat([*experts, *(s[:, inner:] for s, (inner, _) in zip(sums, self.widths, strict=True))], dim=1)


class PLERanker(Ranker):
    """y_h = tower_h(what head h mixed on the last level)."""

    Config = PLEConfig
    Body = PLEBody
