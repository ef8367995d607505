"""Batches of texts: cut by length, so that short ones are not padded to the longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feedmill.features.text import Tokens

_PARTS = 3  # of a batch


@dataclass(frozen=True, slots=True, eq=False)
class Padded:
    """Texts ordered by length and cut into parts, each padded to the longest of its own.

    Attributes:
        order: int64[n] which text stands where.
        bags: of each part, (int32[n_texts x T, B] ids, offsets) as FusedEmbedding takes them.
        lengths: of each part, int64[n_texts].
    """

    order: NDArray[np.int64]
    bags: list[tuple[Tensor, list[int]]]
    lengths: list[Tensor]

    @staticmethod
    def of(tokens: Tokens, texts: NDArray[np.int64], encoder: Any) -> Padded:
        length = tokens.lengths[texts]
        n_parts = min(1 if encoder.is_bag else _PARTS, len(texts))
        order = np.argsort(length, kind="stable") if n_parts > 1 else np.arange(len(texts))
        parts = np.array_split(order, n_parts) if n_parts else []
        ids = [tokens.bags(texts[p]) if encoder.is_bag else tokens.sequences(texts[p], encoder.least) for p in parts]
        bags = [(torch.from_numpy(i.reshape(-1, i.shape[2])), [0, i.shape[2]]) for i in ids]
        return Padded(order, bags, [torch.from_numpy(length[p]) for p in parts])

    def shaped(self, rows: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """(float32[n_texts, T, D], int64[n_texts]) of each part, of the embeddings of its bag."""
        return [(x.view(len(n), -1, x.shape[2]), n) for x, n in zip(rows, self.lengths, strict=False)]

    def restored(self, parts: list[Tensor]) -> Tensor:
        """Vectors of the parts in the order the texts came in."""
        if not parts:
            return torch.zeros(0, 0)
        return torch.cat(parts)[torch.from_numpy(np.argsort(self.order, kind="stable"))]
