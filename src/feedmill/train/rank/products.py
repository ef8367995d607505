"""What a training step's matrix products alone would take: how near to the processor's own limit a trainer comes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1}  # where the left factor stands


class Products(NamedTuple):
    """Of one step: multiply-adds, and the least seconds in which the same products were done one after the other."""

    n_multiply_adds: int
    seconds: float


def products(step: Callable[[], object], n_rounds: int = 5) -> Products:
    """Record the products of a step, forward and backward, and time them by themselves.

    Args:
        step: what is done; its products are repeated on the matrices that they had.
        n_rounds: the fastest of so many counts.
    """
    with _Record() as record:
        step()
    total = 0.0
    with torch.no_grad():
        for call, args in record.calls:
            total += min(_seconds(call, args) for _ in range(n_rounds))
    return Products(sum(_multiply_adds(call, args) for call, args in record.calls), total)


class _Record(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in PRODUCTS:
            kept = tuple(a.detach() if isinstance(a, Tensor) else a for a in args)
            self.calls.append((func.overloadpacket, kept))
        return func(*args, **(kwargs or {}))


def _seconds(call: Any, args: tuple[Any, ...]) -> float:
    start = perf_counter()
    call(*args)
    return perf_counter() - start


def _multiply_adds(call: Any, args: tuple[Any, ...]) -> int:
    left, right = args[PRODUCTS[call] : PRODUCTS[call] + 2]
    return int(left.numel() * right.shape[-1])
