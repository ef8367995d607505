"""A factor on seconds that read low, learned with a logit of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from feedmill.models.heads.cuts import Doubles


class Lift(nn.Module):
    """1 + seconds = (1 + g^-1) e^(c + u), with a logit u beside the head's own and c what the labels lack on average.

    u is learned by weighted cross-entropy of the odds (1 + g^-1) e^(c + u) with a weight of 1 + t (``wce``, scheme 3),
    least where they are 1 + E[t | x], whatever g^-1 is: what is served is the mean, where a factor from the labels
    (``retransformation``) is too high as soon as the model tells watch times apart. Since that least value is the same
    for all g^-1, the head's own logit still goes where its own loss is least.

    Args:
        t: float64[n] seconds.
        turned_back: g^-1 of the mean of g(t), seconds.
    """

    start: Tensor

    def __init__(self, t: Doubles, turned_back: float) -> None:
        super().__init__()
        self.register_buffer("start", torch.tensor(math.log1p(float(t.mean())) - math.log1p(turned_back)))

    def loss(self, u: Tensor, low: Tensor, seconds: Tensor) -> Tensor:
        """float32[B] logits, float32[B] seconds that g^-1 gives, float32[B] watched -> float32[B]."""
        v = torch.log1p(low) + self.start + u
        return (1 + seconds) * softplus(-v) + softplus(v)

    def forward(self, u: Tensor, low: Tensor, cap_s: float) -> Tensor:
        """float32[B] logits, float32[B] seconds that g^-1 gives -> float32[B] seconds from 0 to ``cap_s``."""
        v = torch.log1p(low) + self.start + u
        return torch.expm1(v.clamp(0.0, math.log1p(cap_s)))
