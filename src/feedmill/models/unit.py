"""Vectors of length 1, so that inner products are cosines."""

from __future__ import annotations

from torch import Tensor


def unit(x: Tensor) -> Tensor:
    """float32[n, W] -> rows of length 1; a zero row stays zero."""
    scaled: Tensor = x / x.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return scaled
