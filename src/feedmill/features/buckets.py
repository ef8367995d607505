"""Buckets of (user, item) pairs by one column: what calibration per bucket and metrics by bucket tell apart.

Columns: ``item.duration_s`` (ranges), ``item.topic`` (the first of the item's topics), and every attribute as
``item.NAME`` or ``user.NAME`` (one bucket per value). Bucket 0 holds what is unknown, rare, or new since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows, UserColumns
from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError
from feedmill.metrics.by_bucket import edges_of, in_ranges
from feedmill.state import State

Which = Callable[[UserColumns, Rows, NDArray[Any]], NDArray[np.int64]]
DURATION, TOPIC = "item.duration_s", "item.topic"


@dataclass(frozen=True, slots=True)
class Buckets:
    """Which bucket a pair falls into; n of them beside 0.

    Attributes:
        by: the column.
        edges: of a column of numbers: bucket k holds edges[k - 1] <= value < edges[k], the ends open.
        values: of a column of texts: bucket k holds values[k - 1].
    """

    by: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Buckets beside bucket 0."""
        return max(len(self.edges) - 1, 0) + len(self.values)

    @staticmethod
    def fit(by: str, n_buckets: int, state: State, users: UserColumns, item: Rows, request_of: Rows) -> Buckets:
        """Ranges of about equally many rows, or the most frequent values; fewer where there are not as many.

        Raises:
            ConfigError: no such column; the message names the nearest.
        """
        _check(by, state)
        if by == DURATION:
            return Buckets(by, tuple(edges_of(state.catalogue.duration_s[item], n_buckets).tolist()))
        count = np.bincount(_codes(by, state, users, item, request_of))
        count[0] = 0
        top = np.argsort(-count, kind="stable")[: min(n_buckets, int((count > 0).sum()))]
        texts = _texts(by, state)
        return Buckets(by, values=tuple(texts[code] for code in top.tolist()))

    @staticmethod
    def of(config: Mapping[str, Any]) -> Buckets:
        """The inverse of ``as_dict``."""
        return Buckets(str(config["by"]), tuple(config.get("edges", ())), tuple(config.get("values", ())))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {"by": self.by, "edges": list(self.edges), "values": list(self.values)}

    def names(self) -> list[str]:
        """A word for each bucket, "unknown" first."""
        pairs = zip(self.edges[:-1], self.edges[1:], strict=True)
        return ["unknown", *(f"{low:g} to {high:g}" for low, high in pairs), *self.values]

    def bind(self, state: State) -> Which:
        """A function of R users, C candidate rows and the request of each -> int64[C] bucket of each candidate."""
        if self.by == DURATION:
            edges = np.array(self.edges)
            return lambda users, item, request_of: in_ranges(state.catalogue.duration_s[item], edges)
        bucket_of = {text: k + 1 for k, text in enumerate(self.values)}
        by_code = np.array([bucket_of.get(text, 0) for text in _texts(self.by, state)] or [0], np.int64)

        def which(users: UserColumns, item: Rows, request_of: NDArray[Any]) -> NDArray[np.int64]:
            codes = _codes(self.by, state, users, item, request_of)
            return np.where(codes < len(by_code), by_code[np.minimum(codes, len(by_code) - 1)], 0)

        return which


def _check(by: str, state: State) -> None:
    known = [DURATION, TOPIC, *(f"item.{n}" for n in state.catalogue.item_attributes)]
    known += [f"user.{n}" for n in state.catalogue.user_attributes]
    if by not in known:
        raise ConfigError(f'no column "{by}" to make buckets of', f"one of {known}", nearest(by, known))


def _texts(by: str, state: State) -> list[str]:
    """Texts by code; none where this state does not know the attribute (yet)."""
    side, _, name = by.partition(".")
    if by == TOPIC:
        return list(state.catalogue.topic_ids.ids())
    if name not in (state.catalogue.item_attributes if side == "item" else state.catalogue.user_attributes):
        return []
    return state.catalogue.values(name, "item" if side == "item" else "user")


def _codes(by: str, state: State, users: UserColumns, item: Rows, request_of: NDArray[Any]) -> NDArray[np.int64]:
    """int64[C], 0 = unknown."""
    side, _, name = by.partition(".")
    if by == TOPIC:
        return np.asarray(state.catalogue.topics[item, 0], np.int64)
    if side == "item":
        known = name in state.catalogue.item_attributes
        return (state.catalogue.item_codes(name)[item] if known else np.zeros(len(item))).astype(np.int64)
    if name not in state.catalogue.user_attributes:
        return np.zeros(len(item), np.int64)
    at = state.catalogue.user_attributes.index(name)
    if at >= users.profile.shape[1]:
        return np.zeros(len(item), np.int64)
    return np.asarray(users.profile[request_of, at], np.int64)
