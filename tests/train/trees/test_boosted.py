"""Growing trees: what they learn, and what happens to data that nobody wanted."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from feedmill.core.errors import ConfigError, DataError
from feedmill.metrics.classification import auc
from feedmill.train.trees.boosted import TreesConfig, grow

CONFIG = TreesConfig(n_trees=10, n_leaves=6, n_threads=1)


def rows(n: int = 800, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A label that is one inside a square and for two of seven categories."""
    random = np.random.default_rng(seed)
    x = random.random((n, 3)).astype(np.float32)
    x[:, 2] = random.integers(0, 7, n)
    y = (abs(x[:, 0] - 0.5) < 0.3) & (abs(x[:, 1] - 0.5) < 0.3) | np.isin(x[:, 2], (2, 5))
    return x, y.astype(np.float64)


def test_they_learn_a_square_and_categories() -> None:
    x, y = rows()
    forest, text = grow(x, y, None, CONFIG, [2])
    new_x, new_y = rows(seed=1)
    assert auc(new_y, forest.leaf_value[forest.leaves(new_x)].sum(axis=1)) > 0.97
    assert len(forest) == 10
    assert text.startswith("tree")
    assert grow(x, y, None, CONFIG, [2])[1] == text, "the same seed gives the same trees"


def test_a_weight_is_so_many_rows() -> None:
    x, y = rows(300)
    twice = np.concatenate([x, x[:100]]), np.concatenate([y, y[:100]])
    weight = np.where(np.arange(300) < 100, 2.0, 1.0)
    config = TreesConfig(n_trees=1, n_leaves=4, min_leaf_rows=1, n_threads=1)
    by_weight, by_row = grow(x, y, weight, config)[0], grow(*twice, None, config)[0]
    new = rows(50, 3)[0]
    values = [f.leaf_value[f.leaves(new)].sum(axis=1) for f in (by_weight, by_row)]
    np.testing.assert_allclose(*values, atol=0.05)


@pytest.mark.parametrize("positives", [0, 1, 799, 800])
def test_one_class_grows_no_trees(positives: int) -> None:
    x, _ = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest, text = grow(x, (np.arange(800) < positives).astype(float), None, CONFIG)
    assert len(forest) == forest.n_leaves == 0
    assert text == ""


def test_no_rows_no_columns_and_no_weight() -> None:
    assert len(grow(np.zeros((0, 3), np.float32), np.zeros(0), None, CONFIG)[0]) == 0
    assert len(grow(np.zeros((9, 0), np.float32), np.arange(9) % 2, None, CONFIG)[0]) == 0
    x, y = rows(50)
    assert len(grow(x, y, np.zeros(50), CONFIG)[0]) == 0


def test_missing_and_infinite_values_are_learnt_from() -> None:
    """Half of one column is missing, the rest infinite, one column is missing altogether: the other still tells."""
    x, y = rows()
    x = np.hstack([x, np.full((800, 2), np.nan, np.float32)])
    x[::2, 3] = np.inf
    x[::4, 3] = -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest, _ = grow(x, y, None, CONFIG, [2])
    x[::3, 0], x[1::3, 2] = np.nan, -7
    assert np.isfinite(forest.leaf_value[forest.leaves(x)]).all()
    random = np.random.default_rng(0)
    is_known = random.random(800) < 0.5
    telling = np.where(is_known, random.normal(size=800), np.nan).astype(np.float32)[:, None]
    forest, _ = grow(telling, is_known, None, CONFIG)
    assert auc(is_known, forest.leaf_value[forest.leaves(telling)].sum(axis=1)) == 1, (
        "that a value is missing tells too"
    )


def test_what_trees_refuse() -> None:
    x, y = rows(50)
    with pytest.raises(DataError, match=r"labels \[2.0\]"):
        grow(x, np.where(np.arange(50) == 7, 2, y), None, CONFIG)
    with pytest.raises(DataError, match="labels"):
        grow(x, np.where(np.arange(50) == 7, np.nan, y), None, CONFIG)
    with pytest.raises(DataError, match="weights"):
        grow(x, y, np.full(50, np.nan), CONFIG)
    with pytest.raises(DataError, match="49 labels"):
        grow(x, y[1:], None, CONFIG)
    with pytest.raises(DataError, match="shape"):
        grow(x[:, 0], y, None, CONFIG)


def test_without_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match="LightGBM is not installed") as caught:
        grow(*rows(50), None, CONFIG)
    assert "pip install" in caught.value.fix
