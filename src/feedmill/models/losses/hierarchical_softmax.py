"""Softmax over all items in log N steps (Morin and Bengio 2005; Huffman's tree as in Mikolov et al. 2013)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from feedmill.models.losses.huffman import HuffmanTree
from feedmill.models.losses.reduce import over_rows


class HierarchicalSoftmax(nn.Module):
    """log P(leaf | h) = sum_k log sigmoid(s_k <h, v_k>) along the leaf's path: s_k = +1 left, -1 right.

    Exact and normalised by construction, with no sampling to correct; a step touches about log2 N node vectors.

    Args:
        tree: over N leaves.
        dim: D, width of h.
        sparse: gradients name only the nodes that were visited (for SparseAdam).
    """

    path: Tensor
    sign: Tensor

    def __init__(self, tree: HuffmanTree, dim: int, *, sparse: bool = True) -> None:
        super().__init__()
        self._tree = tree
        self.node = nn.Embedding(max(tree.n_leaves - 1, 1), dim, sparse=sparse)
        nn.init.zeros_(self.node.weight)  # every way is even at first
        self.register_buffer("path", torch.from_numpy(tree.path.astype(np.int64)), persistent=False)
        self.register_buffer("sign", torch.from_numpy(tree.sign.astype(np.float32)), persistent=False)

    def forward(self, h: Tensor, leaf: Tensor, reward: Tensor | None = None) -> Tensor:
        """-(1/B) sum_i r_i log P(leaf_i | h_i).

        Args:
            h: float32[B, D].
            leaf: int64[B].
            reward: float32[B], 1 by default.
        """
        sign = self.sign[leaf]
        width = int(sign.abs().sum(1).max()) if sign.numel() else 0
        sign, path = sign[:, :width], self.path[leaf, :width]
        distinct, place = torch.unique(path, return_inverse=True)  # the root is on every path: look it up once
        logits = (self.node(distinct)[place] @ h[:, :, None]).squeeze(2)
        return over_rows(torch.where(sign != 0, softplus(-sign * logits), 0.0).sum(1), reward)

    @torch.no_grad()
    def log_prob(self, h: Tensor) -> Tensor:
        """float32[B, N]: log P of every leaf, exact; each row's exponentials sum to 1. Costs B (2N - 1) numbers."""
        n, depth = self._tree.n_leaves, self._tree.depth
        parent, side = torch.from_numpy(self._tree.parent), torch.from_numpy(self._tree.side).float()
        logits = h @ self.node.weight.t()
        out = h.new_zeros(len(h), 2 * n - 1)
        for level in range(1, int(depth.max()) + 1):
            at = torch.from_numpy(np.flatnonzero(depth == level))
            above = parent[at].long()
            out[:, at] = out[:, above] + logsigmoid(side[at] * logits[:, above])
        return out[:, n - 1 :]

    @torch.no_grad()
    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """float32[N, D] and float32[N]: log P(leaf | h) linearised at h = 0, so that a vector index can serve it.

        log sigmoid(x) = -log 2 + x/2 - x²/8 + O(x⁴). Kept are the first two terms: <h, sum_k s_k v_k / 2> and the bias
        -log 2 times the length of the code. Left out is at most x²/8 per step, so the order is right only while the
        logits along the paths are small (|x| < 1 or so); a confident tree saturates where the line goes on. The bias
        is large, log2 of the popularity: an index of inner products gets it as one more coordinate, with 1 in every
        user's vector. ``log_prob`` is exact, for ranking what the index brings or for small catalogues.
        """
        vectors = self.node.weight.new_zeros(self._tree.n_leaves, self.node.embedding_dim)
        for step in range(self.path.shape[1]):
            vectors += 0.5 * self.sign[:, step, None] * self.node.weight[self.path[:, step]]
        return vectors, -float(np.log(2)) * self.sign.abs().sum(1)
