"""Grow boosted trees with LightGBM (Ke et al. 2017) and keep them as arrays that serve without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError, DataError
from feedmill.features.served.forest import Forest
from feedmill.train.trees.online_lr import check_rows

MIN_OF_CLASS = 2  # with fewer positives or negatives there is nothing to split


class TreesConfig(Config, frozen=True):
    """How the trees of each head grow; table ``[rank.trees]``."""

    n_trees: Annotated[int, Meta(ge=1, le=5000, description="boosted trees of each head")] = 100
    n_leaves: Annotated[int, Meta(ge=2, le=4096, description="leaves of a tree; He et al. 2014 took up to 12")] = 16
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="what each tree adds is shrunk by it")] = 0.1
    min_leaf_rows: Annotated[int, Meta(ge=1, description="rows a leaf needs")] = 20
    row_share: Annotated[float, Meta(gt=0, le=1, description="rows drawn for each tree")] = 1.0
    column_share: Annotated[float, Meta(gt=0, le=1, description="columns drawn for each tree")] = 1.0
    leaf_l2: Annotated[float, Meta(ge=0, description="L2 on what a leaf says")] = 1.0
    n_threads: Annotated[int, Meta(ge=0, description="threads of LightGBM; 0 = all cores")] = 0


def grow(
    x: Floats,
    labels: NDArray[Any],
    weight: NDArray[Any] | None,
    config: TreesConfig,
    categorical: Sequence[int] = (),
    seed: int = 0,
) -> tuple[Forest, str]:
    """Trees of one head, and LightGBM's own text of them; no trees where the labels are (nearly) all of one class.

    Args:
        x: float32[n, F]; NaN is missing, infinities are the largest and smallest, categories are codes from 0.
        labels: [n] of 0 and 1.
        weight: [n] or None.
        categorical: the columns that hold codes.

    Raises:
        DataError: labels are not 0 and 1, weights negative, or lengths differ.
        ConfigError: LightGBM is not installed.
    """
    y = np.asarray(labels, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if x.ndim != 2:
        raise DataError(f"features of shape {list(x.shape)}", "[rows, columns]")
    check_rows(len(x), y, w)
    n_positive = int(y[w > 0].sum())
    if not x.shape[1] or min(n_positive, int((w > 0).sum()) - n_positive) < MIN_OF_CLASS:
        return Forest.joined([]), ""
    lightgbm = _lightgbm()
    data = lightgbm.Dataset(
        np.ascontiguousarray(x, np.float32), y, weight=w, categorical_feature=list(categorical), free_raw_data=True
    )
    booster = lightgbm.train(_parameters(config, seed), data, config.n_trees)
    text: str = booster.model_to_string()
    return Forest.of_text(text), text


def _parameters(config: TreesConfig, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": config.n_leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_leaf_rows,
        "bagging_fraction": config.row_share,
        "bagging_freq": int(config.row_share < 1),
        "feature_fraction": config.column_share,
        "lambda_l2": config.leaf_l2,
        "num_threads": config.n_threads,
        "seed": seed % 2**31,
        "deterministic": True,  # the same trees with any number of threads
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError:
        raise ConfigError(
            "LightGBM is not installed",
            'it, for trees ([rank] kind = "gbdt_lr") to be grown; serving them needs nothing',
            'pip install "feedmill[train]"',
        ) from None
    return lightgbm
