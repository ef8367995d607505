"""Huffman's tree (1952) as arrays: frequent leaves lie near the root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class HuffmanTree:
    """A binary tree over N leaves with N - 1 inner nodes; node 0 is the root, parents come before their children.

    Attributes:
        path: int32[N, L] inner nodes from the root to each leaf, padded with 0.
        sign: int8[N, L] the way taken at each: +1 left, -1 right, 0 where padded.
        parent: int32[2 N - 1] of every node, inner nodes first, then leaves; -1 for the root.
        side: int8[2 N - 1] which child of its parent a node is: +1 left, -1 right, 0 for the root.
        depth: int32[2 N - 1] edges from the root; of a leaf, the length of its code.
    """

    path: Rows
    sign: NDArray[np.int8]
    parent: Rows
    side: NDArray[np.int8]
    depth: Rows

    @property
    def n_leaves(self) -> int:
        return len(self.path)

    @staticmethod
    def of(counts: NDArray[np.int64]) -> HuffmanTree:
        """The tree with the shortest mean code under these counts; among those, one of the shallowest.

        Args:
            counts: int64[N] >= 0, how often each leaf is drawn. Ties go to the lower leaf, so the tree repeats.

        Raises:
            DataError: no leaf, or a negative count.
        """
        if len(counts) == 0 or counts.min() < 0:
            given = "no leaves" if len(counts) == 0 else f"a leaf with count {counts.min()}"
            raise DataError(f"a Huffman tree of {given}", "at least one leaf, counts from 0")
        n = len(counts)
        order = np.argsort(counts, kind="stable")
        parent, side = _merge(np.ascontiguousarray(counts, dtype=np.float64)[order], order)
        depth = _depths(parent)
        path, sign = _paths(parent, side, depth, n, int(depth[n - 1 :].max()))
        return HuffmanTree(path, sign, parent, side, depth)


@njit(cache=True, nogil=True)
def _merge(weight: NDArray[np.float64], order: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int8]]:
    """Merge the two lightest until one is left: leaves wait in one queue, merged nodes in another, both ascending.

    On equal weights leaves go first, which keeps the tree shallow. The node merged k-th has number n - 2 - k.
    """
    n = len(weight)
    parent = np.full(2 * n - 1, -1, np.int32)
    side = np.zeros(2 * n - 1, np.int8)
    merged = np.empty(max(n - 1, 0))
    leaf = node = 0
    for k in range(n - 1):
        total = 0.0
        for way in (1, -1):
            if leaf < n and (node >= k or weight[leaf] <= merged[node]):
                child = n - 1 + order[leaf]
                total += weight[leaf]
                leaf += 1
            else:
                child = n - 2 - node
                total += merged[node]
                node += 1
            parent[child] = n - 2 - k
            side[child] = way
        merged[k] = total
    return parent, side


@njit(cache=True, nogil=True)
def _depths(parent: Rows) -> Rows:
    depth = np.zeros(len(parent), np.int32)
    for node in range(1, len(parent)):
        depth[node] = depth[parent[node]] + 1
    return depth


@njit(cache=True, nogil=True)
def _paths(parent: Rows, side: NDArray[np.int8], depth: Rows, n: int, width: int) -> tuple[Rows, NDArray[np.int8]]:
    path = np.zeros((n, width), np.int32)
    sign = np.zeros((n, width), np.int8)
    for leaf in range(n):
        node = n - 1 + leaf
        for at in range(depth[node] - 1, -1, -1):
            path[leaf, at] = parent[node]
            sign[leaf, at] = side[node]
            node = parent[node]
    return path, sign
