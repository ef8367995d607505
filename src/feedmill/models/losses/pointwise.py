"""Binary cross-entropy on single pairs, with a fixed ratio of negatives to positives (Huang et al., CIKM 2013)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from feedmill.models.losses.reduce import of_rows, over_negatives, over_rows


def pointwise(
    positive: Tensor,
    negative: Tensor,
    keep: Tensor | None,
    reward: Tensor | None = None,
    *,
    of: Tensor | None = None,
    temperature: float = 0.07,
    n_per_positive: float = 3.0,
) -> Tensor:
    """sp(-s+/tau) + n mean_j sp(s_j/tau) per row, sp(z) = log(1 + e^z).

    However many negatives a row has, together they weigh as much as ``n_per_positive`` positives, so the ratio of
    positives to negatives is 1:n (practice: 1:2 or 1:3) and the optimum of s/tau is the log odds under that ratio.
    Shapes as in ``losses.reduce``.
    """
    of_negatives = of_rows(over_negatives(softplus(negative / temperature), keep), of)
    return over_rows(softplus(-positive / temperature) + n_per_positive * of_negatives, reward)
