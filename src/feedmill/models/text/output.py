"""The last layer of an encoder."""

from __future__ import annotations

from torch import nn


def output_layer(input_dim: int, output_dim: int) -> nn.Linear:
    """A linear layer whose bias begins at zero.

    Embeddings begin small; beside them the usual random bias would make all texts alike, and the first thing to learn
    would be to undo that. Without it the cosine of two texts begins as their overlap in words.
    """
    layer = nn.Linear(input_dim, output_dim)
    nn.init.zeros_(layer.bias)
    return layer
