"""How much of the catalogue a recommender shows, and whether it leans to what is popular already."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import DataError


class PopularityBias(NamedTuple):
    """Mean popularity percentile of what was recommended and of what users chose, 0 (rarest) to 1."""

    recommended: float
    consumed: float

    @property
    def lift(self) -> float:
        """Recommended minus consumed: above 0 the lists lean to popular items more than people do."""
        return self.recommended - self.consumed


def coverage(ranked: Rows, n_items: int) -> float:
    """The share of the catalogue that appears in at least one list.

    Args:
        ranked: int32[U, K], padded with 0.
        n_items: rows of the item table, nothing (row 0) included.
    """
    shown = np.unique(ranked)
    return float((shown > 0).sum() / max(n_items - 1, 1))


def popularity_percentile(counts: NDArray[np.number]) -> Floats:
    """float32[N]: each item's place by popularity, 0 (rarest) to 1; equals share their mean place.

    Args:
        counts: [N] interactions of each item row; row 0 is nothing and gets 0.
    """
    n = len(counts) - 1
    places = np.zeros(len(counts), np.float32)
    if n > 0:
        _, inverse, size = np.unique(counts[1:], return_inverse=True, return_counts=True)
        mean_place = np.cumsum(size) - (size + 1) / 2  # 0-based
        places[1:] = (mean_place / max(n - 1, 1))[inverse]
    return places


def popularity_bias(ranked: Rows, consumed: Rows, counts: NDArray[np.number]) -> PopularityBias:
    """Mean popularity percentile of every place in the lists and of every held-out choice.

    Args:
        ranked: int32[U, K], padded with 0.
        consumed: int32[n] item rows of the held-out choices, repeats counted.
        counts: [N] interactions of each item row in the training data.

    Raises:
        DataError: an item row at or past N.
    """
    shown, chosen = ranked[ranked > 0], consumed[consumed > 0]
    top = max(int(shown.max(initial=0)), int(chosen.max(initial=0)))
    if top >= len(counts):
        raise DataError(f"item row {top}", f"below {len(counts)}, the length of counts")
    places = popularity_percentile(counts)
    return PopularityBias(_mean(places[shown]), _mean(places[chosen]))


def _mean(values: Floats) -> float:
    return float(values.mean(dtype=np.float64)) if len(values) else float("nan")
