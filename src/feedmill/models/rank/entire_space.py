"""Entire-space heads: what presupposes something else is learned on every row (Ma et al., SIGIR 2018, "ESMM")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Given = Sequence[tuple[int, int]]  # (column, the column it presupposes), a column after what it presupposes


def joint(logits: Tensor, given: Given) -> Tensor:
    """Logits of P(h | g) become those of P(h) = P(g) P(h | g), so that h is learned and served over all rows.

    The odds of a product of two sigmoids are 1 / (e^-a + e^-b + e^-(a+b)), which no large logit can upset.

    Args:
        logits: float32[C, L].
        given: columns that are replaced.

    Returns:
        float32[C, L].
    """
    columns = list(logits.unbind(1))
    for h, g in given:
        a, b = -columns[h], -columns[g]
        terms = torch.stack([a, b, a + b])
        largest = terms.detach().amax(0)
        columns[h] = -largest - torch.log(torch.exp(terms - largest).sum(0))
    return torch.stack(columns, dim=1)
