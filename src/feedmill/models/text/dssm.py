"""Two sides of text encoders in one space, and the probability that is learned (Huang et al., CIKM 2013)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from feedmill.models.text.config import DSSMConfig
from feedmill.models.text.output import output_layer


class DSSM(nn.Module):
    """Queries and items as unit vectors, so that R(q, d) = cos(q, d) is their inner product.

    An item's other features go through two layers to the same width and are added to the vector of its text.

    Args:
        encoder: a class of ``ENCODERS``.
        n_fields: embedded fields that items have beside their text.
    """

    def __init__(self, encoder: Any, config: DSSMConfig, n_fields: int = 0) -> None:
        super().__init__()
        self.query_encoder = encoder(config)
        self.item_encoder = self.query_encoder if config.is_shared else encoder(config)
        self.side: nn.Sequential | None = None
        if n_fields:
            out = config.output_dim
            last = output_layer(out, out)
            nn.init.zeros_(last.weight)  # at first the text has the word
            self.side = nn.Sequential(nn.Linear(n_fields * config.embedding_dim, out), nn.Tanh(), last)

    def query(self, x: Tensor, length: Tensor) -> Tensor:
        """float32[n, T, D] embedded positions, int64[n] lengths -> unit vectors float32[n, W]."""
        return normalize(self.query_encoder(x, length), dim=1)

    def item(self, x: Tensor, length: Tensor, fields: Tensor | None = None) -> Tensor:
        """The same of items; ``fields`` float32[n, F, D] are their embedded features."""
        vectors = self.item_encoder(x, length)
        if self.side is not None and fields is not None:
            vectors = vectors + self.side(fields.flatten(1))
        return normalize(vectors, dim=1)


def dssm_loss(own: Tensor, others: Tensor, gamma: float, masked: Tensor | None = None) -> Tensor:
    """-log P(d+ | q), P = exp(gamma R(q, d+)) / sum over d+ and its negatives d of exp(gamma R(q, d)), on average.

    Args:
        own: float32[B] R(q_i, d_i+).
        others: float32[B, M] R(q_i, d) of the negatives of each row.
        masked: bool[B, M] cells of ``others`` that are no negatives.
    """
    if masked is not None:
        others = others.masked_fill(masked, float("-inf"))
    return -torch.log_softmax(gamma * torch.cat([own[:, None], others], dim=1), dim=1)[:, 0].mean()
