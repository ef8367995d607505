"""Boosted trees as arrays: which leaf of each tree a row falls into, without the library that grew them.

A tree turns a row into the index of its leaf, a category by itself; the leaves of all trees, one-hot and side by side,
are the sparse vector that a logistic regression reads (He et al. 2014, "Practical lessons from predicting clicks on
ads at Facebook", section 3.1). A **coordinate** is a place in that vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import ArtifactError, DataError

PREFIX = "forest."
Doubles = NDArray[np.float64]
_CATEGORICAL = 1  # a bit of LightGBM's decision_type


class Nodes(NamedTuple):
    """The inner nodes of a Forest, as the kernels take them."""

    feature: Rows
    threshold: Doubles
    flags: Rows
    child: Rows
    set_start: Rows
    set_bits: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """T trees of N nodes and L leaves in all; trees of all heads stand side by side.

    Attributes:
        root: int32[T], the node a tree starts at; ``~coordinate`` where it is a single leaf.
        feature: int32[N], the column a node asks.
        threshold: float64[N]: at or below goes left. Where the node asks for a category, the number of its set.
        flags: int32[N], LightGBM's ``decision_type``: bit 0 categorical, bit 1 what is missing goes left, bit 2 zero
            is missing, bit 3 NaN is missing.
        child: int32[N, 2], left and right: a node, or ``~coordinate`` of a leaf.
        set_start: int32[S + 1], the words of each set of categories.
        set_bits: uint32[words]: the categories in a set go left.
        leaf_start: int32[T + 1]: tree t has the coordinates leaf_start[t] to leaf_start[t + 1] - 1.
        leaf_value: float64[L], what the leaf adds to the log-odds where the trees speak for themselves.
    """

    root: Rows
    feature: Rows
    threshold: Doubles
    flags: Rows
    child: Rows
    set_start: Rows
    set_bits: NDArray[np.uint32]
    leaf_start: Rows
    leaf_value: Doubles

    def __len__(self) -> int:
        return len(self.root)

    @property
    def n_leaves(self) -> int:
        """Coordinates of all trees together."""
        return int(self.leaf_start[-1])

    @property
    def n_columns(self) -> int:
        """The least number of columns a row must have."""
        return int(self.feature.max(initial=-1)) + 1

    def leaves(self, x: Floats, trees: slice = slice(None)) -> Rows:
        """int32[n, T] coordinates, one for each of the trees.

        Args:
            x: float32[n, F]; NaN is missing, a category is its code. Categories that were never seen, and negative
                ones, go where everything goes that is not in a node's set.

        Raises:
            DataError: x has fewer columns than the trees ask for.
        """
        if x.ndim != 2 or x.shape[1] < self.n_columns:
            raise DataError(f"features of shape {list(x.shape)}", f"[rows, at least {self.n_columns} columns]")
        out: Rows = _leaves(np.ascontiguousarray(x, np.float32), np.ascontiguousarray(self.root[trees]), self._nodes)
        return out

    def sums(self, x: Floats, weight: Doubles, bias: Doubles, tree_start: Rows) -> Floats:
        """float32[n, H]: for each head its bias and the weights of the leaves that a row falls into.

        Args:
            x: as for ``leaves``, but not checked: it must have ``n_columns``.
            weight: float64[L] by coordinate.
            bias: float64[H].
            tree_start: int32[H + 1], the trees of each head.
        """
        out: Floats = _sums(np.ascontiguousarray(x, np.float32), self.root, self._nodes, weight, bias, tree_start)
        return out

    @property
    def _nodes(self) -> Nodes:
        return Nodes(self.feature, self.threshold, self.flags, self.child, self.set_start, self.set_bits)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As they are stored in a part."""
        return {PREFIX + f.name: getattr(self, f.name) for f in fields(self)}

    @staticmethod
    def of(arrays: Mapping[str, NDArray[Any]]) -> Forest:
        """The inverse of ``arrays``, checked: a damaged forest must not read beyond its arrays.

        Raises:
            ArtifactError: an array is missing, or they do not fit each other.
        """
        try:
            forest = Forest(**{f.name: np.array(arrays[PREFIX + f.name]) for f in fields(Forest)})
        except KeyError as e:
            raise ArtifactError(f"trees without the array {e}", "those that this version writes", "train again") from e
        _check(forest)
        return forest

    @staticmethod
    def joined(forests: Sequence[Forest]) -> Forest:
        """Trees of several forests side by side, in order; their coordinates follow one another."""
        node = np.cumsum([0, *(len(f.feature) for f in forests)])
        leaf = np.cumsum([0, *(f.n_leaves for f in forests)])
        sets = np.cumsum([0, *(len(f.set_start) - 1 for f in forests)])
        word = np.cumsum([0, *(len(f.set_bits) for f in forests)])

        def moved(link: Rows, i: int) -> Rows:
            out: Rows = np.where(link >= 0, link + node[i], link - leaf[i]).astype(np.int32)
            return out

        each = list(enumerate(forests))
        return Forest(
            root=_joined((moved(f.root, i) for i, f in each), np.zeros(0, np.int32)),
            feature=_joined((f.feature for f in forests), np.zeros(0, np.int32)),
            threshold=_joined(
                (np.where(f.flags & _CATEGORICAL, f.threshold + sets[i], f.threshold) for i, f in each), np.zeros(0)
            ),
            flags=_joined((f.flags for f in forests), np.zeros(0, np.int32)),
            child=_joined((moved(f.child, i) for i, f in each), np.zeros((0, 2), np.int32)),
            set_start=_joined((f.set_start[1:] + word[i] for i, f in each), np.zeros(1, np.int32)),
            set_bits=_joined((f.set_bits for f in forests), np.zeros(0, np.uint32)),
            leaf_start=_joined((f.leaf_start[1:] + leaf[i] for i, f in each), np.zeros(1, np.int32)),
            leaf_value=_joined((f.leaf_value for f in forests), np.zeros(0)),
        )

    @staticmethod
    def of_text(text: str) -> Forest:
        """From the text that LightGBM writes (``Booster.model_to_string``).

        Raises:
            ArtifactError: it is not such a text, or its leaves are linear models.
        """
        blocks = [_block(part) for part in text.partition("end of trees")[0].split("\nTree=")[1:]]
        try:
            return Forest.joined([_tree(block) for block in blocks])
        except (KeyError, ValueError) as e:
            raise ArtifactError(
                f"trees that cannot be read: {e}", "the text of a LightGBM model with constant leaves", "train again"
            ) from None


def _joined(parts: Iterator[NDArray[Any]], first: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.concatenate([first, *parts]).astype(first.dtype))


def _block(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines()[1:] if "=" in line)


def _tree(block: Mapping[str, str]) -> Forest:
    """One ``Tree=`` block; LightGBM names leaves by ``~leaf`` as we do."""

    def numbers(key: str, dtype: type[np.generic]) -> NDArray[Any]:
        found: NDArray[Any] = np.array(block[key].split(), np.float64).astype(dtype)
        return found

    if int(block.get("is_linear", "0")):
        raise ValueError("its leaves are linear models")
    n_leaves, n_sets = int(block["num_leaves"]), int(block["num_cat"])
    is_leaf = n_leaves < 2
    empty = np.zeros(0, np.int32)
    child = np.zeros((0, 2), np.int32)
    if not is_leaf:
        child = np.stack([numbers("left_child", np.int32), numbers("right_child", np.int32)], axis=1)
    return Forest(
        root=np.array([-1 if is_leaf else 0], np.int32),
        feature=empty if is_leaf else numbers("split_feature", np.int32),
        threshold=empty.astype(np.float64) if is_leaf else numbers("threshold", np.float64),
        flags=empty if is_leaf else numbers("decision_type", np.int32),
        child=np.ascontiguousarray(child),
        set_start=numbers("cat_boundaries", np.int32) if n_sets else np.zeros(1, np.int32),
        set_bits=numbers("cat_threshold", np.uint32) if n_sets else np.zeros(0, np.uint32),
        leaf_start=np.array([0, n_leaves], np.int32),
        leaf_value=numbers("leaf_value", np.float64),
    )


def _check(f: Forest) -> None:
    n = len(f.feature)
    have_lengths = (
        len(f.threshold) == len(f.flags) == len(f.child) == n
        and len(f.leaf_start) == len(f.root) + 1
        and f.leaf_start[0] == 0
        and f.leaf_start[-1] == len(f.leaf_value)
        and f.set_start[0] == 0
        and f.set_start[-1] == len(f.set_bits)
    )
    if not (have_lengths and _stays_inside(f)):
        raise ArtifactError("trees whose arrays do not fit each other", "those that were written", "train again")


def _stays_inside(f: Forest) -> bool:
    """Every way down ends, for a child comes after its parent, and at a leaf and by columns and sets that there are."""
    n, links = len(f.feature), np.concatenate([f.root, f.child.ravel()])
    asked = f.threshold[(f.flags & _CATEGORICAL) > 0]
    return bool(
        ((links < n) & (~links < len(f.leaf_value))).all()
        and (f.child > np.arange(n)[:, None])[f.child >= 0].all()
        and ((asked >= 0) & (asked < len(f.set_start) - 1)).all()
        and (np.diff(f.set_start) >= 0).all()
        and (f.feature >= 0).all()
    )


@njit(cache=True, nogil=True, inline="always")
def _leaf(x: Floats, r: int, node: int, nodes: Nodes) -> int:
    """The coordinate that row r of x ends at: LightGBM's own decisions, missing values and categories included."""
    while node >= 0:
        value = np.float64(x[r, nodes.feature[node]])
        flag = nodes.flags[node]
        if flag & 5 == 0 and value == value:  # nearly always; no branch on the outcome, which nobody can foresee
            node = nodes.child[node, np.int64(value > nodes.threshold[node])]
            continue
        left = False
        if flag & 1:
            if -1.0 < value < 2147483648.0:  # not NaN, not infinite; LightGBM drops what is after the point
                code, which = np.int64(value), np.int64(nodes.threshold[node])
                word = nodes.set_start[which] + code // 32
                if word < nodes.set_start[which + 1]:
                    left = (nodes.set_bits[word] >> np.uint32(code % 32)) & np.uint32(1) != 0
        elif value != value and not flag & 8:
            left = flag & 6 == 6 or (flag & 4 == 0 and nodes.threshold[node] >= 0)  # as if it were zero
        elif value != value or (flag & 4 and abs(value) <= 1e-35):
            left = flag & 2 != 0
        else:
            left = value <= nodes.threshold[node]
        node = nodes.child[node, 0 if left else 1]
    return ~node


@njit(cache=True, nogil=True)
def _leaves(x: Floats, root: Rows, nodes: Nodes) -> Rows:
    out = np.empty((len(x), len(root)), np.int32)
    for t in range(len(root)):
        for r in range(len(x)):
            out[r, t] = _leaf(x, r, root[t], nodes)
    return out


@njit(cache=True, nogil=True)
def _sums(x: Floats, root: Rows, nodes: Nodes, weight: Doubles, bias: Doubles, tree_start: Rows) -> Floats:
    n, heads = len(x), len(bias)
    out = np.empty((n, heads), np.float32)
    total = np.empty(n)
    for h in range(heads):
        total[:] = bias[h]
        for t in range(tree_start[h], tree_start[h + 1]):  # a tree stays in the cache while all rows go down it
            for r in range(n):
                total[r] += weight[_leaf(x, r, root[t], nodes)]
        for r in range(n):
            out[r, h] = total[r]
    return out
