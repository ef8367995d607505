"""A linear layer on embedded fields, without multiplying the same id of a batch again and again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from feedmill.models.embeddings import FusedEmbedding, Ids, Numbers

Offsets = NDArray[np.int64]


def embedded_linear(
    embedding: FusedEmbedding, ids: Tensor, starts: list[int], numbers: Tensor, weight: Tensor
) -> Tensor:
    """What ``cat([embedding((ids, starts)).flatten(1), numbers], 1) @ weight`` gives: the same sums in another order.

    Each distinct id of a field is multiplied by that field's rows of ``weight`` once, and a row of the batch adds up
    what its ids gave. With F fields of width D and few distinct ids, F additions for F * D multiply-adds, there and
    back. Dropout falls on the ids of each field by themselves.

    Args:
        ids: int32[n, B], 0 = nothing.
        starts: F + 1 offsets of fields in a row, as ``FusedEmbedding.forward`` takes them.
        numbers: float32[n, k], through which no gradient goes.
        weight: float32[F * D + k, W].

    Returns:
        float32[n, W].
    """
    offsets = np.array(starts, np.int64)
    distinct, first, place = number_by_field(ids.numpy(), offsets, embedding.place_of)
    rows = embedding.dropout(embedding.table(torch.from_numpy(distinct)))
    out: Tensor = _Sums.apply(rows, weight, numbers, place, offsets, first)  # type: ignore[no-untyped-call]
    return out


class _Sums(torch.autograd.Function):
    """float32[P, D] rows of (field, id) pairs -> float32[n, W]."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, numbers: Tensor, place: Ids, starts: Offsets, first: Offsets
    ) -> Tensor:
        ctx.save_for_backward(rows, weight, numbers)
        ctx.where, d = (place, starts, first), rows.shape[1]
        products = rows.new_empty(len(rows), weight.shape[1])
        for f in range(len(first) - 1):
            pairs = slice(first[f], first[f + 1])
            torch.mm(rows[pairs], weight[f * d : (f + 1) * d], out=products[pairs])
        out = numbers @ weight[(len(first) - 1) * d :]
        by_columns(add_products, products.numpy(), place, starts, out.numpy())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        rows, weight, numbers = ctx.saved_tensors
        place, starts, first = ctx.where
        d, of_products = rows.shape[1], torch.zeros(len(rows), weight.shape[1])
        by_columns(spread_products, of_products.numpy(), place, starts, gradient.contiguous().numpy())
        of_rows, of_weight = torch.empty_like(rows), torch.empty_like(weight)
        for f in range(len(first) - 1):
            pairs, block = slice(first[f], first[f + 1]), slice(f * d, (f + 1) * d)
            torch.mm(of_products[pairs], weight[block].t(), out=of_rows[pairs])
            torch.mm(rows[pairs].t(), of_products[pairs], out=of_weight[block])
        torch.mm(numbers.t(), gradient, out=of_weight[(len(first) - 1) * d :])
        return of_rows, of_weight, None, None, None, None


def by_columns(kernel: Callable[..., None], products: Numbers, place: Ids, starts: Offsets, sums: Numbers) -> None:
    """Run a kernel on as many shares of the columns as torch has threads: no two write to one place."""
    n = max(1, min(torch.get_num_threads(), sums.shape[1]))
    cuts = [i * sums.shape[1] // n for i in range(n + 1)]
    if n == 1:
        kernel(products, place, starts, sums, 0, sums.shape[1])
        return
    with ThreadPoolExecutor(n) as pool:
        list(pool.map(lambda i: kernel(products, place, starts, sums, cuts[i], cuts[i + 1]), range(n)))


@njit(cache=True, nogil=True)
def number_by_field(ids: Ids, starts: Offsets, place_of: Ids) -> tuple[Ids, Offsets, Ids]:
    """Distinct ids > 0 of each field, field after field.

    Args:
        place_of: int32[V], all -1 before and after.

    Returns:
        int32[P] ids, int64[F + 1] where each field's begin, int32[n, B] each id's place among them, -1 for id 0.
    """
    n, distinct, place = 0, np.empty(ids.size, np.int32), np.empty(ids.shape, np.int32)
    first = np.zeros(len(starts), np.int64)
    for f in range(len(starts) - 1):
        for w in range(starts[f], starts[f + 1]):
            for r in range(ids.shape[0]):
                row = ids[r, w]
                if row > 0 and place_of[row] < 0:
                    place_of[row] = n
                    distinct[n] = row
                    n += 1
                place[r, w] = place_of[row] if row > 0 else -1
        first[f + 1] = n
        for i in range(first[f], n):
            place_of[distinct[i]] = -1
    return distinct[:n].copy(), first, place


@njit(cache=True, nogil=True)
def add_products(products: Numbers, place: Ids, starts: Offsets, out: Numbers, low: int, high: int) -> None:
    """Adds to columns low..high of each row of ``out`` the mean of each field's products."""
    for r in range(place.shape[0]):
        to = out[r, low:high]
        for f in range(len(starts) - 1):
            m = 0
            for w in range(starts[f], starts[f + 1]):
                m += place[r, w] >= 0
            share = np.float32(1) / np.float32(max(m, 1))
            for w in range(starts[f], starts[f + 1]):
                if place[r, w] >= 0:
                    source = products[place[r, w], low:high]
                    for j in range(high - low):
                        to[j] += share * source[j]


@njit(cache=True, nogil=True)
def spread_products(products: Numbers, place: Ids, starts: Offsets, gradient: Numbers, low: int, high: int) -> None:
    """The gradient of ``add_products`` by products, added to columns low..high of ``products``."""
    for r in range(place.shape[0]):
        source = gradient[r, low:high]
        for f in range(len(starts) - 1):
            m = 0
            for w in range(starts[f], starts[f + 1]):
                m += place[r, w] >= 0
            share = np.float32(1) / np.float32(max(m, 1))
            for w in range(starts[f], starts[f + 1]):
                if place[r, w] >= 0:
                    to = products[place[r, w], low:high]
                    for j in range(high - low):
                        to[j] += share * source[j]
