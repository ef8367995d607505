"""POSO's forms as modules of their own, for layers that are not a ranker's body (Dai et al. 2021, section 3).

All take a personalisation code pc beside their input, and start at the plain module: C · g(pc) = 1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from feedmill.models.rank.personal.gates import Gates
from feedmill.models.rank.personal.poso import POSOConfig


class CodeGate(nn.Module):
    """C · g(pc): a small MLP with a sigmoid, from a code to the factors of n units.

    Args:
        code_dim: P, width of the code.
    """

    def __init__(self, config: POSOConfig, code_dim: int, n: int) -> None:
        super().__init__()
        self.first = nn.Linear(code_dim, config.hidden_dim)
        self.last = Gates(config.hidden_dim, [n], config.scale)

    def forward(self, code: Tensor) -> Tensor:
        """float32[..., P] -> float32[..., n] in (0, C)."""
        out: Tensor = self.last(self.first(code))[0]
        return out


class POSOModules(nn.Module):
    """x̂ = (1/N) sum_i C g(pc)_i f_i(x): the full form. N identical modules at C · g = 1 are the one they copy.

    Args:
        module: f, from one tensor to one; its copies are trained, not itself.
        n_modules: N.
        is_drawn: draw the weights of each copy anew, so that they differ.
    """

    def __init__(
        self, config: POSOConfig, module: nn.Module, n_modules: int, code_dim: int, is_drawn: bool = True
    ) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(module) for _ in range(n_modules))
        if is_drawn:
            self.copies.apply(_draw)
        self.gate = CodeGate(config, code_dim, n_modules)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """float32[B, ...], float32[B, P] -> f's output, float32[B, ..., D]."""
        each = torch.stack([f(x) for f in self.copies])  # [N, B, ..., D]
        share = self.gate(code).t() / len(self.copies)
        out: Tensor = (share.reshape(*share.shape, *(1,) * (each.dim() - 2)) * each).sum(0)
        return out


class POSOLinear(nn.Module):
    """x̂ = C · g(pc) ⊙ (W x + b): with N modules for every unit, all that is left of the full form is a mask."""

    def __init__(self, config: POSOConfig, input_dim: int, output_dim: int, code_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dim, output_dim)
        self.gate = CodeGate(config, code_dim, output_dim)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """float32[..., input_dim], float32[..., P] -> float32[..., output_dim]."""
        out: Tensor = self.gate(code) * self.linear(x)
        return out


class POSOMLP(nn.Module):
    """x_(l+1) = C · g_l(pc) ⊙ relu(W_l x_l + b_l).

    Args:
        dims: widths of the input and of each layer.
    """

    def __init__(self, config: POSOConfig, dims: Sequence[int], code_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(POSOLinear(config, a, b, code_dim) for a, b in pairwise(dims))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """float32[..., dims[0]], float32[..., P] -> float32[..., dims[-1]]; C · g > 0 may pass through the ReLU."""
        for layer in self.layers:
            x = torch.relu(layer(x, code))
        return x


class POSOAttention(nn.Module):
    """softmax(Q K̂ᵀ / sqrt(d)) V̂ with K̂ = C g_K(pc) ⊙ W_K x and V̂ = C g_V(pc) ⊙ W_V x, head by head.

    Queries know the user already and stay as they are; keys and values, which all users share, are masked.

    Args:
        dim: D of queries, keys, values and output, a multiple of ``n_heads``.
    """

    def __init__(self, config: POSOConfig, dim: int, n_heads: int, code_dim: int) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.query, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.key = POSOLinear(config, dim, dim, code_dim)
        self.value = POSOLinear(config, dim, dim, code_dim)

    def forward(self, query: Tensor, x: Tensor, is_there: Tensor, code: Tensor) -> Tensor:
        """Args:
            query: float32[B, Q, D].
            x: float32[B, T, D], what is attended to.
            is_there: bool[B, T], False where padded.
            code: float32[B, P].

        Returns:
            float32[B, Q, D]; where nothing is there, the output layer's bias.
        """
        q = self._heads(self.query(query))
        k, v = self._heads(self.key(x, code[:, None])), self._heads(self.value(x, code[:, None]))
        there = is_there[:, None, None]
        likeness = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).masked_fill(~there, torch.finfo(q.dtype).min)
        mixed = (torch.softmax(likeness, dim=3) * there) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """float32[B, T, D] -> float32[B, heads, T, D / heads]."""
        return x.view(*x.shape[:2], self._n_heads, -1).transpose(1, 2)


def _draw(module: nn.Module) -> None:
    """New weights by the module's own rule."""
    reset = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()
