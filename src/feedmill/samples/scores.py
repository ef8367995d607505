"""Observed scores: a row per (user, item) that met, and what the user thought of it; matrix completion reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.state import State

POINTS = (Kind.LIKE, Kind.FAVOURITE, Kind.SHARE, Kind.COMMENT)


class ScoresConfig(Config, frozen=True):
    """What the score of an observed pair is."""

    score: Annotated[
        Literal["points", "rating"],
        Meta(description="points: 0..4, one each for like, favourite, share, comment; rating: the value of the click"),
    ] = "points"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """n observed pairs, each once, sorted by user, then item.

    Attributes:
        user: int32[n] rows.
        item: int32[n] rows.
        score: float32[n].
        n_users: rows of the user table, nobody (row 0) included.
        n_items: rows of the item table, nothing (row 0) included.
    """

    user: Rows
    item: Rows
    score: Floats
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.user)


def scores(events: EventBatch, state: State, config: ScoresConfig) -> Scores:
    """What users thought of what they met.

    By points every pair with any behaviour was met, shown and passed over included, and scores a point for each kind
    of feedback, however often it was given. By ratings a pair was met when it was rated; the last rating holds.

    Args:
        events: in log order; ids must have rows in ``state``, those that do not are left out.

    Raises:
        DataError: ratings are asked for and every click has the same value, as where nobody rates.
    """
    kind, n_items = events.numpy("kind"), len(state.items)
    user = state.users.rows(events.table.column("user_id"))
    item = state.items.rows(events.table.column("item_id"))
    met = (kind == Kind.CLICK) if config.score == "rating" else (kind < N_COUNTED)
    met &= (user > 0) & (item > 0)
    pair, row = np.unique(user[met].astype(np.int64) * n_items + item[met], return_inverse=True)
    if config.score == "rating":
        score = _ratings(events.numpy("value")[met], row, len(pair))
    else:
        score = _points(kind[met], row, len(pair))
    rows = ((pair // n_items).astype(np.int32), (pair % n_items).astype(np.int32))
    return Scores(*rows, score, len(state.users), n_items)


def _points(kind: NDArray[np.int8], row: NDArray[np.intp], n: int) -> Floats:
    score = np.zeros(n, np.float32)
    for point in POINTS:
        given = np.zeros(n, np.bool_)
        given[row[kind == point]] = True
        score += given
    return score


def _ratings(value: Floats, row: NDArray[np.intp], n: int) -> Floats:
    if len(value) and value.min() == value.max():
        raise DataError(
            f"{len(value):,} clicks, all of value {value[0]:g}",
            "ratings: clicks of different values",
            'set score = "points", or ingest a log with ratings',
        )
    score = np.zeros(n, np.float32)
    score[row] = value  # in log order: of several the last holds
    return score
