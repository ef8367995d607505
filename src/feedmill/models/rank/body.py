"""What a kind of ranker has of its own: from the first layer's sums to one representation per head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Body(Protocol):
    """A torch module constructed with ``(config, n_logits)``, the parameters and the number of logits of each head.

    The first layer is linear and its own sums are made elsewhere (``Ranker``), so that the shares of user and item can
    be made beforehand. A body gets the sums, before any nonlinearity.

    Attributes:
        width: columns of the first layer it asks for.
        output_dim: d of what it gives.
        gated: widths of the hidden layers that a personal gate may scale.
        is_linear: its output are logits already, at most ``max(n_logits)`` a head; no tower and no wide term follow.
    """

    width: int
    output_dim: int
    gated: tuple[int, ...]
    is_linear: bool

    def __call__(self, first: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """float32[C, width] sums, and a gate float32[C, w] for each of ``gated``, or none -> float32[H, C, d]."""
        ...


BodyClass = Any  # a type of module with the constructor and the call above
