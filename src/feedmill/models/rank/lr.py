"""Logistic regression on ids and numbers, each id's weight factored through its vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.rank.config import RankerConfig
from feedmill.models.rank.nets import by_net
from feedmill.models.rank.ranker import Ranker


class LRConfig(RankerConfig, frozen=True):
    """Parameters of ``[rank] kind = "lr"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector; any up to H heads is exact")] = 8
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.1
    dots: Annotated[bool, Meta(description="also read the inner product of each user field with each item field")] = (
        False
    )


class LRBody(nn.Module):
    """No hidden layer: the first layer's sums are the logits. Personal gates scale them, as POSO's linear form does."""

    is_linear = True

    def __init__(self, config: LRConfig, n_logits: Sequence[int]) -> None:
        super().__init__()
        self.n_heads, self.output_dim = len(n_logits), max(n_logits)
        self.width = self.n_heads * self.output_dim
        self.gated = (self.width,)

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] -> float32[H, C, max(n_logits)] logits."""
        return by_net(first * gates[0] if gates else first, self.n_heads)


class LRRanker(Ranker):
    """y_h = w_h · x + b_h: what an id adds to head h is w_hf · its vector, a number per id, head and field."""

    Config = LRConfig
    Body = LRBody
