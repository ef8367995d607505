"""GBDT + LR (He et al. 2014): trees make the features of a logistic regression, which goes on learning online.

Each head has trees of its own: they split where its own label changes, and a head of rare feedback is not ruled by the
clicks. The regression is fitted on rows that the trees did not see, the newest: on rows they grew on, every leaf looks
surer than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.features.served.forest import Forest
from feedmill.train.trees.boosted import TreesConfig, grow
from feedmill.train.trees.online_lr import OnlineLr, OnlineLrConfig


class GbdtLrConfig(Config, frozen=True):
    """Section ``[rank]`` with ``kind = "gbdt_lr"``."""

    trees: Annotated[TreesConfig, Meta(description="how the trees of each head grow")] = TreesConfig()
    lr: Annotated[OnlineLrConfig, Meta(description="how fast the regression learns")] = OnlineLrConfig()
    lr_share: Annotated[
        float, Meta(gt=0, lt=1, description="the newest rows, which the regression is fitted on and no tree sees")
    ] = 0.3
    lr_passes: Annotated[int, Meta(ge=1, le=100, description="passes over them")] = 3
    start: Annotated[
        Literal["trees", "zero"],
        Meta(description="weights begin at what the leaves say themselves, or at zero as in the paper"),
    ] = "trees"
    max_categories: Annotated[int, Meta(ge=0, description="ids of at most so many values are categories")] = 64


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """n rows in order of time, as trees read them. F columns, H heads.

    Attributes:
        x: float32[n, F]; NaN is missing.
        labels: [n, H] of 0 and 1 where the mask is set.
        mask: bool[n, H], or None where all labels are known.
        weight: [n], or None.
    """

    x: Floats
    labels: NDArray[Any]
    mask: Mask | None = None
    weight: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        shapes = [self.x.shape, self.labels.shape] + ([] if self.mask is None else [self.mask.shape])
        if any(len(s) != 2 or s[0] != len(self.x) for s in shapes) or len({s[1] for s in shapes[1:]}) > 1:
            raise DataError(f"features, labels and masks of shapes {shapes}", "[n, columns], [n, heads], [n, heads]")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: slice) -> TableRows:
        """A stretch of time."""
        mask = None if self.mask is None else self.mask[rows]
        return TableRows(self.x[rows], self.labels[rows], mask, None if self.weight is None else self.weight[rows])

    def head(self, h: int) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
        """(rows whose label is known, labels, weights) of one head."""
        known = np.arange(len(self)) if self.mask is None else np.flatnonzero(self.mask[:, h])
        weight = np.ones(len(known)) if self.weight is None else np.asarray(self.weight)[known]
        return known, np.asarray(self.labels)[known, h], weight

    @staticmethod
    def joined(parts: Sequence[TableRows]) -> TableRows:
        """Stretches of time one after the other."""
        every = np.ones_like
        return TableRows(
            np.concatenate([p.x for p in parts]),
            np.concatenate([p.labels for p in parts]),
            np.concatenate([every(p.labels, np.bool_) if p.mask is None else p.mask for p in parts]),
            np.concatenate([np.ones(len(p), np.float32) if p.weight is None else p.weight for p in parts]),
        )


class GbdtLr:
    """The trees and the regression of H heads; the coordinates are all leaves, then a bias for each head."""

    Config = GbdtLrConfig

    def __init__(self, config: GbdtLrConfig, forest: Forest, tree_start: Rows, lr: OnlineLr) -> None:
        self.config, self.forest, self.tree_start, self.lr = config, forest, tree_start, lr
        self.texts: tuple[str, ...] = ()

    @property
    def n_heads(self) -> int:
        return len(self.tree_start) - 1

    @staticmethod
    def fit(
        config: GbdtLrConfig, rows: TableRows, categorical: Sequence[int] = (), seed: int = 0
    ) -> tuple[GbdtLr, Floats]:
        """Trees on the older rows, then the regression on the newer ones.

        A head with one class only gets no trees: its bias is the rate, pulled to one half by one imagined row.

        Args:
            rows: oldest first.

        Returns:
            the model, and float32[n_newer, H] what it said of the newer rows before it learnt from each (NaN where
            the label is not known).

        Raises:
            DataError: no rows, or labels that are not 0 and 1.
        """
        if not len(rows):
            raise DataError("no rows to learn from", "rows with labels")
        cut = len(rows) - max(1, round(len(rows) * config.lr_share))
        older = rows.take(slice(0, cut))
        grown, bias = [], []
        for h in range(rows.labels.shape[1]):
            known, labels, weight = older.head(h)
            grown.append(grow(older.x[known], labels, weight, config.trees, categorical, seed))
            bias.append(0.0 if len(grown[-1][0]) and config.start == "trees" else _log_odds(labels, weight))
        forest = Forest.joined([f for f, _ in grown])
        leaves = forest.leaf_value if config.start == "trees" else np.zeros_like(forest.leaf_value)
        lr = OnlineLr(config.lr, np.append(leaves, bias))
        tree_start = np.cumsum([0, *(len(f) for f, _ in grown)]).astype(np.int32)
        model = GbdtLr(config, forest, tree_start, lr)
        model.texts = tuple(text for _, text in grown)
        newer = rows.take(slice(cut, None))
        said = model.update(newer)
        for _ in range(config.lr_passes - 1):
            model.update(newer)
        return model, said

    def active(self, x: Floats, head: int) -> Rows:
        """int32[n, 1 + T] coordinates of one head: its bias, and a leaf of each of its trees."""
        leaves = self.forest.leaves(x, slice(self.tree_start[head], self.tree_start[head + 1]))
        bias = np.full((len(x), 1), self.forest.n_leaves + head, np.int32)
        return np.hstack([bias, leaves])

    def predict(self, x: Floats) -> Floats:
        """float32[n, H] probabilities."""
        heads = [self.lr.predict(self.active(x, h)) for h in range(self.n_heads)]
        return np.stack(heads, axis=1).astype(np.float32)

    def update(self, rows: TableRows) -> Floats:
        """Predict each row, then learn from it; the trees stay as they are.

        Returns:
            float32[n, H] of before; NaN where the label is not known.
        """
        said = np.full(rows.labels.shape, np.nan, np.float32)
        for h in range(self.n_heads):
            known, labels, weight = rows.head(h)
            said[known, h] = self.lr.update(self.active(rows.x[known], h), labels, weight)
        return said

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a part keeps: to serve (weight, bias), and to go on learning (the accumulators)."""
        weight, n = self.lr.weight, self.forest.n_leaves
        served = {"lr.weight": weight[:n], "lr.bias": weight[n:]}
        return {**self.forest.arrays(), **self.lr.arrays(), **served, "lr.tree_start": self.tree_start}

    @staticmethod
    def of(config: GbdtLrConfig, arrays: Any) -> GbdtLr:
        """A model that goes on learning where the one stopped whose ``arrays`` these are."""
        return GbdtLr(config, Forest.of(arrays), np.array(arrays["lr.tree_start"]), OnlineLr.of(config.lr, arrays))


def _log_odds(labels: NDArray[Any], weight: NDArray[Any]) -> float:
    positive, total = float((labels * weight).sum()), float(weight.sum())
    return float(np.log((positive + 0.5) / (total - positive + 0.5)))
