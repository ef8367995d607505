"""The self-supervised loss of the item tower (Yao et al., CIKM 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def contrastive(first: Tensor, second: Tensor, temperature: float = 0.07) -> Tensor:
    """-(1/m) sum_i log( exp(cos(b'_i, b''_i)/tau) / sum_j exp(cos(b'_i, b''_j)/tau) ).

    Two views of an item should lie near each other, and far from the views of other items. Only rows of ``first`` look
    for their partner; the items should be distinct, or an item would be pushed away from itself.

    Args:
        first, second: float32[m, D], one row per item in the same order; of any length, zero rows included.

    Returns:
        scalar, log m where nothing can be told apart.
    """
    cosines = normalize(first, dim=1) @ normalize(second, dim=1).t()
    return cross_entropy(cosines / temperature, torch.arange(len(first), device=first.device))
