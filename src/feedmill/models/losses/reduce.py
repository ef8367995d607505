"""How rows become one number. Every retrieval loss has the same shape, so that one trainer serves them all.

    positive: float32[B], the similarity of each row's user and the item of its positive.
    negative: float32[R, M], of the users of R requests and each of M negatives; R = B unless ``of`` is given.
        Similarities are plain: cosines, or inner products of a model without unit vectors. Temperatures and margins
        belong to the losses.
    keep: bool[R, M], False = no negative of this row (an accidental hit, another like of the user, padding): it adds
        nothing and has no gradient. Or float32[R, M] >= 0, by how much each counts, 0 = not at all; the mix of
        several sources of negatives is such weights. None = all count.
    reward: float32[B] or None, what a row is worth: 1, watched seconds, a watch ratio.
    of: int64[B] or None, the request of each row, where several positives share one user and one set of negatives.

A loss is (1/B) sum_i r_i loss_i. A row none of whose negatives count is finite: 0, or what its positive costs alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def over_rows(loss: Tensor, reward: Tensor | None) -> Tensor:
    """float32[B] -> scalar (1/B) sum_i r_i loss_i; 0 of no rows."""
    total = (loss if reward is None else loss * reward).sum()
    return total / max(len(loss), 1)


def over_negatives(loss: Tensor, keep: Tensor | None) -> Tensor:
    """float32[R, M] -> float32[R]: the mean over what counts, 0 where nothing does."""
    if keep is None:
        return loss.sum(1) / max(loss.shape[1], 1)
    weight = keep.to(loss.dtype)
    total = torch.where(keep > 0, loss * weight, 0.0).sum(1)
    return total / weight.sum(1).clamp(min=torch.finfo(loss.dtype).tiny)


def of_rows(x: Tensor, of: Tensor | None) -> Tensor:
    """[R, ...] of requests -> [B, ...] of rows."""
    return x if of is None else x[of]
