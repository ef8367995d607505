"""Target attention over histories, where a model is trained; ``features/attention.py`` says why it is as it is."""

from __future__ import annotations

import torch
from torch import Tensor


def attend(query: Tensor, keys: Tensor, known: Tensor, request_of: Tensor) -> Tensor:
    """A history weighed for each candidate by softmax of scaled dot products (Zhou et al. 2018; Vaswani et al. 2017).

    Args:
        query: float32[C, D] candidates.
        keys: float32[R, T, D] histories.
        known: bool[R, T]: which of their entries there are.
        request_of: int64[C].

    Returns:
        float32[C, D + 1]: the weighted mean and its dot product with the candidate; zeros for an empty history.
    """
    of, there = keys[request_of], known[request_of]
    logit = torch.bmm(of, query.unsqueeze(2)).squeeze(2) / query.shape[1] ** 0.5
    weight = torch.softmax(logit.masked_fill(~there, torch.finfo(logit.dtype).min), dim=1) * there
    mean = torch.bmm(weight.unsqueeze(1), of).squeeze(1)
    return torch.cat([mean, (mean * query).sum(dim=1, keepdim=True)], dim=1)
