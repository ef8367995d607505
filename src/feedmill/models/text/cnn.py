"""CNN-DSSM: windows of three positions, the strongest of each filter over the text (Shen et al., CIKM 2014)."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.text.config import DSSMConfig
from feedmill.models.text.output import output_layer


class CNNConfig(DSSMConfig, frozen=True):
    """Parameters of ``kind = "cnn"``."""

    window: Annotated[int, Meta(ge=1, le=10, description="positions that a filter sees")] = 3
    n_filters: Annotated[int, Meta(ge=1, description="filters")] = 300


class CNNEncoder(nn.Module):
    """tanh(W max_t tanh(F [x_t … x_(t + window - 1)])).

    Nothing is put around a text, so 302 positions and a window of 3 give 300. A text shorter than the window is
    filled up with zeros to one window.
    """

    Config = CNNConfig
    is_bag, ngrams = False, 1

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        self.least = config.window
        self.filters = nn.Linear(config.window * config.embedding_dim, config.n_filters)
        self.output = output_layer(config.n_filters, config.output_dim)

    def maps(self, x: Tensor) -> Tensor:
        """float32[n, T, D] -> feature maps float32[n, T - window + 1, n_filters]."""
        n = x.shape[1] - self.least + 1
        windows = torch.cat([x[:, i : i + n] for i in range(self.least)], dim=2)
        return torch.tanh(self.filters(windows))

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """Embedded positions -> vectors.

        Args:
            x: float32[n, T, D], T at least the window, zeros where a text has ended.
            length: int64[n] positions of each text.

        Returns:
            float32[n, output_dim]; a row does not depend on how far the others made it be padded.
        """
        maps = self.maps(x)
        n_windows = (length - self.least + 1).clamp(min=1)
        outside = torch.arange(maps.shape[1])[None, :] >= n_windows[:, None]
        strongest = maps.masked_fill(outside[:, :, None], -1.0).amax(dim=1)  # tanh is never below -1
        return torch.tanh(self.output(strongest))
