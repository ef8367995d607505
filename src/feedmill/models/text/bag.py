"""DSSM's own encoder: a bag of hashed letter trigrams through tanh layers (Huang et al., CIKM 2013)."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.text.config import DSSMConfig
from feedmill.models.text.output import output_layer


class BagConfig(DSSMConfig, frozen=True):
    """Parameters of ``kind = "bag"``."""

    hidden_dim: Annotated[int, Meta(ge=0, description="tanh layer between bag and output; 0 = none")] = 0


class BagEncoder(nn.Module):
    """tanh(W_2 tanh(W_1 mean of the ids' vectors)): word order is lost but for the n-grams among the ids."""

    Config = BagConfig
    is_bag, least, ngrams = True, 1, 2

    def __init__(self, config: BagConfig) -> None:
        super().__init__()
        hidden = config.hidden_dim
        first = [nn.Linear(config.embedding_dim, hidden), nn.Tanh()] if hidden else []
        self.layers = nn.Sequential(*first, output_layer(hidden or config.embedding_dim, config.output_dim))

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """float32[n, 1, D] bags, int64[n] positions that went into them (not needed) -> float32[n, output_dim]."""
        return torch.tanh(self.layers(x[:, 0]))
