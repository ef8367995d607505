"""Softmax over a positive and sampled negatives, corrected for how they were sampled.

Bengio and Senécal 2003 (importance sampling); Covington et al., RecSys 2016; in the batch, Yi et al., RecSys 2019.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from feedmill.models.losses.reduce import of_rows, over_rows

Correction = Literal["subtract", "none", "flipped"]
_SIGN: dict[Correction, float] = {"subtract": -1.0, "none": 0.0, "flipped": 1.0}
_MASKED = -1e30  # finite, so that a row without negatives stays so


def sampled_softmax(
    positive: Tensor,
    negative: Tensor,
    keep: Tensor | None,
    reward: Tensor | None = None,
    *,
    of: Tensor | None = None,
    temperature: float = 0.07,
    log_q_positive: Tensor | None = None,
    log_q_negative: Tensor | None = None,
    correction: Correction = "subtract",
) -> Tensor:
    """-log(e^z+ / (e^z+ + sum_j w_j e^z_j)) per row, z = s/tau - log q; shapes as in ``losses.reduce``.

    A negative is there as often as its sampler likes it, so without the correction what is sampled often is pushed
    down too hard: the optimum is then s/tau = log P - log q, with it s/tau = log P. Training only: serving uses s. The
    two terms must be on one scale: log q spans several units, so 1/tau has to let s/tau span as many.

    Args:
        log_q_positive: float32[B], log probability with which the sampler gives each positive's item; 0 by default.
        log_q_negative: float32[M], or float32[R, M] where rows have negatives of their own; 0 by default.
        correction: "subtract" log q. "none" leaves it out, to measure what it does. "flipped" adds it, which is a bug
            that a library once shipped: popular items are pushed down twice. It is here so that a test can tell.
    """
    sign = _SIGN[correction]
    z = positive / temperature
    if log_q_positive is not None:
        z = z + sign * log_q_positive
    if negative.shape[1] == 0:
        return over_rows(z * 0.0 + negative.sum(), reward)
    offset = negative.new_zeros(1) if log_q_negative is None else sign * log_q_negative
    total: Tensor = _LogSumExp.apply(negative, offset, keep, 1.0 / temperature)  # type: ignore[no-untyped-call]
    return over_rows(torch.logaddexp(z, of_rows(total, of)) - z, reward)


class _LogSumExp(torch.autograd.Function):
    """float32[R]: log sum_j w_j exp(scale s_j + offset_j), in few passes over the cells.

    The generic operators cost twice the matrix product that made the scores; softmax is one fused pass, and holds both
    the value (at its largest cell) and the gradient.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, offset: Tensor, keep: Tensor | None, scale: float) -> Tensor:
        z = torch.add(offset, scores, alpha=scale)
        if keep is not None:
            if keep.dtype == torch.bool:
                z.masked_fill_(~keep, _MASKED)
            else:
                z = torch.where(keep > 0, z + keep.log(), _MASKED)
        top = z.amax(1)
        share = torch.softmax(z, 1)
        ctx.save_for_backward(share, torch.where(top > _MASKED / 2, scale, 0.0))
        return top - share.amax(1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        share, scale = ctx.saved_tensors
        return share * (gradient * scale)[:, None], None, None, None
