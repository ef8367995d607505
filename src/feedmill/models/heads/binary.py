"""Whether something happens: click, like, finish."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from feedmill.core.config import Config


class BinaryConfig(Config, frozen=True):
    """A binary head has no parameters."""


class BinaryHead(nn.Module):
    """Logistic regression on the ranker's logit: an unbiased estimate of the share of positives.

    Attributes:
        gives: what ``predict`` returns.
    """

    Config = BinaryConfig
    n_logits = 1
    gives = "probability"
    reads_duration = False

    def __init__(self, config: BinaryConfig | None = None) -> None:
        super().__init__()
        self.config = config or BinaryConfig()

    def loss(self, logits: Tensor, label: Tensor, duration: Tensor | None = None) -> Tensor:
        """float32[B, 1] logits, float32[B] labels in [0, 1] -> float32[B] cross-entropy in nats."""
        return binary_cross_entropy_with_logits(logits[:, 0], label, reduction="none")

    def predict(self, logits: Tensor, duration: Tensor | None = None) -> Tensor:
        """float32[B, 1] -> float32[B] probabilities."""
        return torch.sigmoid(logits[:, 0])
