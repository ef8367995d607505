"""In-batch softmax with the sampling-bias correction (Yi et al., RecSys 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def in_batch_softmax(
    scores: Tensor, log_p: Tensor, item: Tensor, reward: Tensor | None = None, other: Tensor | None = None
) -> Tensor:
    """-(1/B) sum_i r_i log softmax_j(s_ij - log p_j)[i].

    An item is in the batch as often as it is popular, so without the correction popular items are pushed down too
    hard; with it the optimum is s = log P(item | user). Training only: serving uses s.

    Args:
        scores: float32[B, B], user i against the item of row j, divided by the temperature already.
        log_p: float32[B] log probability with which the item of column j is drawn.
        item: int64[B] item rows; the same item in another row (an accidental hit) is masked.
        reward: float32[B], 1 by default.
        other: bool[B, B] further cells to mask: items that user i is known to like.
    """
    corrected = scores - log_p[None, :]
    masked = item[:, None] == item[None, :]
    if other is not None:
        masked = masked | other
    masked = masked & ~torch.eye(len(item), dtype=torch.bool)
    corrected = corrected.masked_fill(masked, float("-inf"))
    loss = -torch.log_softmax(corrected, dim=1).diagonal()
    return (loss if reward is None else loss * reward).mean()
