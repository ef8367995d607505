"""One embedding table for every id field, with offsets: one gather instead of a dozen small ones."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag


class FusedEmbedding(nn.Module):
    """Means of bags of ids.

    Args:
        n_rows: V, row 0 is the zero vector and stays zero.
        embedding_dim: D.
        dropout: share of the entries of each looked-up row that a training step does without. On the rows of a batch,
            before they are averaged: as good here as on every occurrence, at a tenth of the cost.
    """

    def __init__(self, n_rows: int, embedding_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(n_rows, embedding_dim, padding_idx=0, sparse=True)
        nn.init.normal_(self.table.weight, std=0.05)
        with torch.no_grad():
            self.table.weight[0].zero_()
        self.dropout = nn.Dropout(dropout)

    def forward(self, *bags: tuple[Tensor, list[int]]) -> list[Tensor]:
        """Each (int[n, W] ids, F + 1 offsets of fields in a row) -> float32[n, F, D], ids 0 not counting.

        Distinct ids are looked up once: a batch repeats few of them, and the gradient then names each row once, which
        SparseAdam would otherwise have to find out by sorting.
        """
        flat = torch.cat([ids.flatten() for ids, _ in bags])
        distinct, place = torch.unique(flat, return_inverse=True)
        rows = self.dropout(self.table(distinct))
        padding = 0 if len(distinct) and distinct[0] == 0 else None  # ids are sorted: the zero row is the first
        places = place.split([ids.numel() for ids, _ in bags])
        return [_means(rows, p.view_as(ids), starts, padding) for p, (ids, starts) in zip(places, bags, strict=True)]


def _means(rows: Tensor, ids: Tensor, starts: list[int], padding: int | None) -> Tensor:
    fields = [
        rows[ids[:, low]]
        if high - low == 1
        else embedding_bag(ids[:, low:high].contiguous(), rows, mode="mean", padding_idx=padding)
        for low, high in pairwise(starts)
    ]
    return torch.stack(fields, dim=1)
