"""Several heads learn together: each row and head weighted and maskable."""

from __future__ import annotations

import torch
from torch import Tensor


def multi_task(losses: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The sum over heads of each head's weighted mean loss.

    Args:
        losses: float32[C, H], each head's loss of each row; anything, also NaN, where the label is not known.
        mask: bool[C, H], False = label unknown, no gradient.
        weight: float32[C].

    Returns:
        scalar; 0 where everything is masked.
    """
    w = weight[:, None] * mask
    known = torch.where(mask, losses, losses.new_zeros(()))
    return ((known * w).sum(0) / w.sum(0).clamp(min=1e-12)).sum()
