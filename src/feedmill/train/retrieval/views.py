"""Two views of items drawn from the whole catalogue, for the self-supervised loss (Yao et al., CIKM 2021)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from feedmill.core.batches import Rows
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.train.retrieval.self_supervised import (
    complementary,
    dropout,
    mutual_information,
    random_mask,
    related_mask,
)


class SelfSupervisedConfig(Config, frozen=True):
    """The table ``self_supervised`` of [train.NAME]."""

    transform: Annotated[
        Literal["random_mask", "dropout", "complementary", "related_mask"],
        Meta(description="what a view leaves out; related_mask leaves out fields that go together"),
    ] = "complementary"
    weight: Annotated[float, Meta(ge=0, description="lambda, of this loss beside the main one")] = 0.3
    temperature: Annotated[float, Meta(gt=0, description="cosines of views are divided by it")] = 0.1
    mask_share: Annotated[float, Meta(gt=0, lt=1, description="random_mask: share of fields left out")] = 0.5


class Views:
    """Draws items uniformly, rare ones as often as popular ones, and gives two views of each.

    Args:
        ids: int32[N, W] ids of every item row.
        starts: F + 1 offsets of the fields.

    Raises:
        ConfigError: items have one field, so that a view would be all or nothing.
    """

    def __init__(self, config: SelfSupervisedConfig, ids: Rows, starts: list[int], seed: int) -> None:
        if len(starts) < 3:
            raise ConfigError(
                "self_supervised: items have one field alone", "items with attributes, authors or topics",
                "leave self_supervised out, or ingest what describes the items",
            )  # fmt: skip
        self.config = config
        self._ids, self._starts, self._random = ids, starts, rng(seed, "views")
        self._known = np.flatnonzero((ids > 0).any(1))
        related = config.transform == "related_mask"
        self._relation = mutual_information(ids[self._known], starts) if related else np.zeros((0, 0))

    def draw(self, n: int) -> tuple[Rows, Rows, Rows]:
        """int32[m, W] twice and the item rows int32[m] that they are views of, m = min(n, items)."""
        rows = self._random.choice(self._known, min(n, len(self._known)), replace=False).astype(np.int32)
        ids = self._ids[rows]
        if self.config.transform == "random_mask":
            first, second = random_mask(ids, self._starts, self._random, self.config.mask_share)
        elif self.config.transform == "dropout":
            first, second = dropout(ids, self._starts, self._random)
        elif self.config.transform == "complementary":
            first, second = complementary(ids, self._starts, self._random)
        else:
            first, second = related_mask(ids, self._starts, self._random, self._relation)
        return first, second, rows
