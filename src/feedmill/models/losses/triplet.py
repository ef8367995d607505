"""Losses of a pair of items: the positive should lie nearer to the user than the negative (Huang et al., KDD 2020)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from feedmill.models.losses.reduce import of_rows, over_negatives, over_rows


def triplet_hinge(
    positive: Tensor,
    negative: Tensor,
    keep: Tensor | None,
    reward: Tensor | None = None,
    *,
    of: Tensor | None = None,
    margin: float = 0.2,
) -> Tensor:
    """mean_j max(0, s_j + m - s+) per row; shapes as in ``losses.reduce``, the margin in units of similarity."""
    ahead = of_rows(negative, of) - positive[:, None]
    return over_rows(over_negatives((ahead + margin).relu(), _kept(keep, of)), reward)


def triplet_logistic(
    positive: Tensor,
    negative: Tensor,
    keep: Tensor | None,
    reward: Tensor | None = None,
    *,
    of: Tensor | None = None,
    sigma: float = 10.0,
) -> Tensor:
    """mean_j log(1 + exp(sigma (s_j - s+))) per row; shapes as in ``losses.reduce``.

    With sigma = 1 on inner products it is the loss of BPR (Rendle et al., UAI 2009).
    """
    ahead = of_rows(negative, of) - positive[:, None]
    return over_rows(over_negatives(softplus(sigma * ahead), _kept(keep, of)), reward)


def _kept(keep: Tensor | None, of: Tensor | None) -> Tensor | None:
    return None if keep is None else of_rows(keep, of)
