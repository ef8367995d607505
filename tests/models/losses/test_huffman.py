from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.models.losses import HuffmanTree

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=40).map(lambda x: np.array(x, np.int64))


def cost(counts: np.ndarray) -> int:
    """The sum of count x length of code, by the textbook's heap."""
    heap = counts.tolist()
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def test_a_tree_by_hand() -> None:
    """5 against {2 against {1, 1}}: codes of 1, 2, 3 and 3."""
    tree = HuffmanTree.of(np.array([1, 5, 2, 1]))
    assert tree.depth[tree.n_leaves - 1 :].tolist() == [3, 1, 2, 3]
    assert (tree.path[:, 0] == 0).all()
    assert tree.path[0].tolist() == tree.path[3].tolist()
    assert tree.sign[0, 2] == -tree.sign[3, 2] != 0


@given(COUNTS)
def test_no_code_is_cheaper(counts: np.ndarray) -> None:
    tree = HuffmanTree.of(counts)
    length = (tree.sign != 0).sum(1)
    assert (length * counts).sum() == cost(counts)
    np.testing.assert_array_equal(length, tree.depth[len(counts) - 1 :])


@given(COUNTS)
def test_it_is_a_tree(counts: np.ndarray) -> None:
    """Every inner node has a left and a right child below it, and paths are what the parents say."""
    tree, n = HuffmanTree.of(counts), len(counts)
    assert tree.parent[0] == -1
    assert (tree.parent[1:n] < np.arange(1, n)).all()
    children = [(int(p), int(s)) for p, s in zip(tree.parent[1:], tree.side[1:], strict=True)]
    assert sorted(children) == sorted((k, s) for k in range(n - 1) for s in (-1, 1))
    for leaf in range(n):
        node, way = n - 1 + leaf, []
        while tree.parent[node] >= 0:
            way.append((int(tree.parent[node]), int(tree.side[node])))
            node = tree.parent[node]
        steps = len(way)
        assert list(zip(tree.path[leaf, :steps].tolist(), tree.sign[leaf, :steps].tolist(), strict=True)) == way[::-1]
        assert (tree.sign[leaf, steps:] == 0).all()


def test_a_large_catalogue_is_quick_and_shallow() -> None:
    counts = (1e6 / np.arange(1, 100_001)).astype(np.int64)
    tree = HuffmanTree.of(counts)
    p = counts / counts.sum()
    entropy = -(p * np.log2(p)).sum()
    mean = (p * tree.depth[len(counts) - 1 :]).sum()
    assert entropy <= mean < entropy + 1
    assert tree.depth.max() < 32


@pytest.mark.parametrize("counts", [[], [3, -1]])
def test_what_is_no_count_is_refused(counts: list[int]) -> None:
    with pytest.raises(DataError, match="Huffman"):
        HuffmanTree.of(np.array(counts, np.int64))
