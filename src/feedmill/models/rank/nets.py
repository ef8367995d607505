"""Several small ReLU networks beside each other: experts, bottoms, or one per head, as one matrix product a layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Nets(nn.Module):
    """n networks with layers of ``hidden_dims``, whose first layer's sums are given.

    Args:
        n: networks.
        hidden_dims: widths of their layers, one at least.

    Attributes:
        width: of the first layer, n * hidden_dims[0], one network after the other.
        gated: n times the width of each layer.
    """

    def __init__(self, n: int, hidden_dims: Sequence[int]) -> None:
        super().__init__()
        self.n, self.dims = n, tuple(hidden_dims)
        self.width, self.gated = n * self.dims[0], tuple(n * d for d in self.dims)
        self.weights = nn.ParameterList([uniform(n, a, b) for a, b in pairwise(self.dims)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(n, 1, b)) for b in self.dims[1:]])

    def forward(self, first: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """float32[C, width] sums, and a gate float32[C, w] of each layer or none -> float32[n, C, hidden_dims[-1]]."""
        return self.above(self.begin(first)[0], gates)

    def begin(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """float32[C, width + k] sums -> the first layer float32[n, C, hidden_dims[0]], and the k sums of others."""
        if torch.is_grad_enabled() and not torch.compiler.is_exporting():
            out: tuple[Tensor, Tensor] = _Begin.apply(first, self.n, self.width)  # type: ignore[no-untyped-call]
            return out
        return torch.relu(by_net(first[:, : self.width], self.n)), first[:, self.width :]

    def above(self, hidden: Tensor, gates: Sequence[Tensor] = ()) -> Tensor:
        """The first layer, float32[n, C, hidden_dims[0]] -> float32[n, C, hidden_dims[-1]]."""
        hidden = self._gate(hidden, gates, 0)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = self._gate(torch.relu_(torch.baddbmm(bias, hidden, weight)), gates, i + 1)
        return hidden

    def _gate(self, hidden: Tensor, gates: Sequence[Tensor], layer: int) -> Tensor:
        return hidden * by_net(gates[layer], self.n) if gates else hidden


class _Begin(torch.autograd.Function):
    """ReLU of some columns, network by network, in one pass there and one back.

    The generic operators cut, transpose and join again on the way back, each a copy of the widest layer there is.
    """

    @staticmethod
    def forward(ctx: Any, first: Tensor, n: int, width: int) -> tuple[Tensor, Tensor]:
        inner = by_net(first[:, :width], n)
        hidden = torch.clamp_min(inner, 0, out=first.new_empty(inner.shape))
        ctx.save_for_backward(hidden)
        return hidden, first[:, width:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_hidden: Tensor, of_rest: Tensor) -> tuple[Tensor, None, None]:
        (hidden,) = ctx.saved_tensors
        n, rows, dim = hidden.shape
        out = hidden.new_empty(rows, n * dim + of_rest.shape[1])
        inner = by_net(out[:, : n * dim], n)
        torch.ops.aten.threshold_backward.grad_input(of_hidden, hidden, 0, grad_input=inner)
        out[:, n * dim :] = of_rest
        return out, None, None


def by_net(x: Tensor, n: int) -> Tensor:
    """float32[C, n * w], one network after the other -> a view float32[n, C, w]."""
    return x.view(x.shape[0], n, -1).transpose(0, 1)


def uniform(n: int, n_in: int, n_out: int) -> nn.Parameter:
    """float32[n, n_in, n_out] of n linear layers, drawn as ``torch.nn.Linear`` draws: within 1 / sqrt(n_in)."""
    bound = max(n_in, 1) ** -0.5
    return nn.Parameter(torch.empty(n, n_in, n_out).uniform_(-bound, bound))


def mix(shares: Tensor, experts: Tensor) -> Tensor:
    """float32[C, H, e] shares, float32[e, C, d] -> float32[H, C, d], the experts weighted by each head's shares."""
    return torch.bmm(shares, experts.transpose(0, 1)).transpose(0, 1)
