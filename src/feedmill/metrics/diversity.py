"""How different the items of one slate are, and how evenly a catalogue is shown over many slates.

A slate has K items; what is not known of one (no vector, no topics, no author) is left out, never counted as different.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import DataError


def vectors_apart(vectors: Floats) -> float:
    """1 - mean cosine over all pairs of a slate. Ziegler et al., WWW 2005, by vectors.

    Args:
        vectors: float[K, D]; a row of 0, or one that is not finite, is of an item without a vector.

    Returns:
        In [0, 2]; NaN where fewer than two have a vector.
    """
    x = np.asarray(vectors, np.float64)
    x = x[np.isfinite(x).all(axis=1)]
    length = np.linalg.norm(x, axis=1)
    unit = x[length > 0] / length[length > 0, None]
    n = len(unit)
    if n < 2:
        return float("nan")
    total = unit.sum(axis=0)  # |sum u|^2 is n and all ordered pairs
    return float(1 - (total @ total - n) / (n * (n - 1)))


def topics_apart(topics: Rows) -> float:
    """1 - mean over all pairs of a slate of (topics both have / topics either has).

    Args:
        topics: int32[K, T], padded with 0.

    Returns:
        In [0, 1]; NaN where fewer than two have topics.
    """
    names = np.unique(topics[topics > 0])
    has = (topics[:, :, None] == names).any(axis=1).astype(np.float64)
    has = has[has.any(axis=1)] if len(names) else has[:0]
    n = len(has)
    if n < 2:
        return float("nan")
    both, size = has @ has.T, has.sum(axis=1)
    alike = both / (size[:, None] + size - both)
    return float(1 - (alike.sum() - n) / (n * (n - 1)))


def n_distinct(groups: Rows) -> int:
    """How many topics or authors a slate has, in whichever places; 0 is none."""
    return len(np.unique(groups[groups > 0]))


def gini(counts: NDArray[Any]) -> float:
    """How unevenly something is shared out: 0 where all have the same, (n - 1) / n where one has everything.

    Args:
        counts: [n] at least 0, such as how often each item of a catalogue was shown.

    Returns:
        NaN where there is nothing to share.

    Raises:
        DataError: a count below 0.
    """
    x = np.sort(np.asarray(counts, np.float64))
    if len(x) and x[0] < 0:
        raise DataError(f"a count of {x[0]:g}", "0 or more")
    n, total = len(x), float(x.sum())
    if total == 0:
        return float("nan")
    return float(2 * (np.arange(1, n + 1) @ x) / (n * total) - (n + 1) / n)
