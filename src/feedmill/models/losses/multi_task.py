"""Binary cross-entropy over several heads, each row and head weighted and maskable."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def multi_task_bce(logits: Tensor, labels: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The sum over heads of each head's weighted mean loss.

    Args:
        logits, labels: float32[C, H].
        mask: bool[C, H], False = label unknown, no gradient.
        weight: float32[C].

    Returns:
        scalar; 0 where everything is masked.
    """
    loss = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    w = weight[:, None] * mask
    return ((loss * w).sum(0) / w.sum(0).clamp(min=1e-12)).sum()
