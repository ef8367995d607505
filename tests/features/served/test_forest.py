"""Trees as arrays, against a forest by hand and against the library that grew them."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError, DataError
from feedmill.features.served.forest import Forest

CATEGORIES = [3, 4]


def by_hand(n_leaves: int, column: int) -> Forest:
    """One tree that asks one column whether it is at most 1, 2, 3 …: leaf k is reached by x = k."""
    n = n_leaves - 1
    return Forest(
        root=np.array([0], np.int32),
        feature=np.full(n, column, np.int32),
        threshold=np.arange(1.0, n + 1),
        flags=np.full(n, 2, np.int32),
        child=np.array([[~k, k + 1 if k + 1 < n else ~n] for k in range(n)], np.int32),
        set_start=np.zeros(1, np.int32),
        set_bits=np.zeros(0, np.uint32),
        leaf_start=np.array([0, n_leaves], np.int32),
        leaf_value=np.arange(n_leaves) / 10,
    )


def test_three_trees_of_four_leaves() -> None:
    """Leaves 3, 1 and 4 (counted from 1) are the vector 0010 1000 0001."""
    forest = Forest.joined([by_hand(4, column) for column in range(3)])
    coordinates = forest.leaves(np.array([[3, 1, 4]], np.float32))
    assert coordinates.tolist() == [[2, 4, 11]]
    vector = np.zeros(forest.n_leaves, int)
    vector[coordinates[0]] = 1
    assert vector.tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    two = forest.leaves(np.array([[3, 1, 4]], np.float32), slice(1, 3))
    assert two.tolist() == [[4, 11]], "of the trees asked for, in the numbering of all"


def test_sums_of_heads() -> None:
    """Head 0 has one tree, head 1 none, head 2 two."""
    forest = Forest.joined([by_hand(4, column) for column in range(3)])
    weight = np.array([1, 2, 3, 4, 10, 20, 30, 40, 100, 200, 300, 400], np.float64)
    sums = forest.sums(np.array([[3, 1, 4], [1, 1, 1]], np.float32), weight, np.array([0.5, 7, 0]), TREES)
    assert sums.tolist() == [[3.5, 7, 410], [1.5, 7, 110]]
    assert sums.dtype == np.float32


TREES = np.array([0, 1, 1, 3], np.int32)


def table(n: int, seed: int, wild: float) -> NDArray[np.float32]:
    """Eight columns, two of codes; a share of values missing, infinite, zero, or a code nobody has seen."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 8)).astype(np.float32)
    x[:, 3], x[:, 4] = random.integers(0, 70, n), random.integers(0, 5, n)
    for value in (np.nan, 0.0, np.inf, -np.inf):
        x[random.random(x.shape) < wild] = value
    if wild:
        codes = random.choice([-3, -0.5, 2.7, 99, 1e6, 1e30, -1e30], (n, 2))
        x[:, 3:5] = np.where(random.random((n, 2)) < wild, codes, x[:, 3:5])
    return x


def grown(parameters: dict[str, Any], n_trees: int = 20) -> lightgbm.Booster:
    x = table(1_500, 0, 0.0)
    x[np.random.default_rng(1).random(x.shape) < 0.08] = np.nan
    x[:, 6] = np.where(np.random.default_rng(2).random(len(x)) < 0.5, 0, x[:, 6])
    z = np.nan_to_num(x)
    y = z[:, 0] + 2 * np.sin(z[:, 3]) + z[:, 4] % 2 + z[:, 6] > 0.5
    data = lightgbm.Dataset(x, y, categorical_feature=CATEGORIES, params={"verbosity": -1, **parameters})
    always = {"objective": "binary", "num_leaves": 15, "verbosity": -1, "num_threads": 1}
    return lightgbm.train({**always, **parameters}, data, n_trees)


@pytest.mark.parametrize("parameters", [{}, {"zero_as_missing": True}, {"use_missing": False}], ids=str)
def test_leaves_are_lightgbms_own(parameters: dict[str, Any]) -> None:
    """With values that are missing, infinite, zero, negative or unseen codes."""
    booster = grown(parameters)
    forest = Forest.of_text(booster.model_to_string())
    assert (forest.flags & 1).any(), "some node asks for a category"
    x = table(2_000, 5, 0.1)
    leaves = forest.leaves(x)
    np.testing.assert_array_equal(leaves - forest.leaf_start[:-1], booster.predict(x, pred_leaf=True))
    raw = booster.predict(x, raw_score=True)
    np.testing.assert_allclose(forest.leaf_value[leaves].sum(axis=1), raw, atol=1e-12)
    every = np.array([0, len(forest)], np.int32)
    np.testing.assert_allclose(forest.sums(x, forest.leaf_value, np.zeros(1), every)[:, 0], raw, atol=1e-5)


@given(st.integers(0, 10_000), st.floats(0, 0.5), st.integers(1, 30))
def test_any_rows(seed: int, wild: float, n: int) -> None:
    booster, forest = _FIXED
    x = table(n, seed, wild)
    np.testing.assert_array_equal(forest.leaves(x) - forest.leaf_start[:-1], booster.predict(x, pred_leaf=True))


def _fixed() -> tuple[lightgbm.Booster, Forest]:
    booster = grown({}, 5)
    return booster, Forest.of_text(booster.model_to_string())


_FIXED = _fixed()


def test_joined_forests_answer_as_each_alone() -> None:
    parts = [by_hand(4, 1), _FIXED[1], Forest.joined([]), _FIXED[1], by_hand(2, 0)]
    together, x = Forest.joined(parts), table(50, 3, 0.1)
    leaves, starts = together.leaves(x), np.cumsum([0, *(p.n_leaves for p in parts)])
    trees = np.cumsum([0, *(len(p) for p in parts)])
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(leaves[:, trees[i] : trees[i + 1]], part.leaves(x) + starts[i])


def test_a_tree_that_found_nothing_to_split_is_one_leaf() -> None:
    data = lightgbm.Dataset(np.zeros((50, 1)), np.arange(50) % 2, params={"verbosity": -1})
    booster = lightgbm.train({"objective": "binary", "verbosity": -1}, data, 2)
    forest = Forest.of_text(booster.model_to_string())
    assert forest.n_leaves == len(forest) > 0
    assert (forest.leaves(np.zeros((3, 1), np.float32)) == np.arange(len(forest))).all()


def test_arrays_come_back_and_damaged_ones_do_not() -> None:
    forest = _FIXED[1]
    arrays = forest.arrays()
    x = table(20, 1, 0.1)
    np.testing.assert_array_equal(Forest.of(arrays).leaves(x), forest.leaves(x))
    loop = forest.child.copy()
    loop[3, 0] = 2
    far = forest.child.copy()
    far[0, 1] = ~forest.n_leaves
    for name, wrong in (
        ("child", loop), ("child", far), ("root", forest.root[:-1]), ("leaf_value", forest.leaf_value[1:]),
        ("set_bits", forest.set_bits[1:]), ("feature", forest.feature - 99), ("flags", forest.flags[1:]),
        ("threshold", np.where(forest.flags & 1, 1e6, forest.threshold)),
    ):  # fmt: skip
        with pytest.raises(ArtifactError, match="do not fit"):
            Forest.of({**arrays, f"forest.{name}": wrong})
    with pytest.raises(ArtifactError, match="root"):
        Forest.of({k: v for k, v in arrays.items() if k != "forest.root"})


def test_what_is_no_forest() -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        Forest.of_text("tree\nTree=0\nnum_leaves=three\nend of trees")
    assert len(Forest.of_text("nothing")) == 0
    with pytest.raises(DataError, match="at least 2 columns"):
        by_hand(3, 1).leaves(np.zeros((4, 1), np.float32))
