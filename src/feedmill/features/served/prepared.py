"""assemble for one model that is being served: what does not change between requests is looked up beforehand.

Gives what ``assemble`` gives, bit for bit (a test holds them equal over every source). A source that is not counted
here is read by ``assemble``'s own functions, so that a new one needs no line in this file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.protocols import Arrays
from feedmill.features.assemble import FeatureBatch
from feedmill.features.quantile import with_powers
from feedmill.features.sources import raw_ids, raw_numeric
from feedmill.features.spec import FeatureSpec, Field, Numeric
from feedmill.state import CROSS, Probed, State

BLOCKS = ("item", "author", "topic", "user_topic")  # the counters that a candidate has, by place
OTHER, COUNTER, RATE, CROSSED, SINCE = range(5)  # how a number is read


class Prepared:
    """Features of one side at a time.

    Args:
        arrays: what ``features.fit`` learned.
    """

    def __init__(self, spec: FeatureSpec, arrays: Arrays, state: State) -> None:
        self._spec, self._state = spec, state
        self._ids = {side: _fields(spec, arrays, side) for side in ("user", "item")}
        self._width = {side: spec.starts(side)[-1] for side in ("user", "item")}
        self._numbers = {side: _Numbers(spec, arrays, state, side) for side in ("user", "item")}

    def batch(self, probed: Probed) -> FeatureBatch:
        """Both sides, as ``assemble``."""
        users, items = ((self.ids(probed, side), self.numbers(probed, side)) for side in ("user", "item"))
        return FeatureBatch(*users, *items, probed.request_of.astype(np.int64))

    def ids(self, probed: Probed, side: str) -> Rows:
        """int32[n, W] rows of the fused table, as ``assemble.ids``."""
        n = len(probed.users) if side == "user" else len(probed)
        out, at = np.empty((n, self._width[side]), np.int32), 0
        for field, slots in self._ids[side]:
            rows = raw_ids(field, self._state, probed)
            out[:, at : at + rows.shape[1]] = slots.take(rows, mode="clip")
            at += rows.shape[1]
        return out

    def numbers(self, probed: Probed, side: str) -> Floats:
        """float32[n, 3 N] normalised numbers, as ``assemble.numerics``."""
        return self._numbers[side](probed)


def _fields(spec: FeatureSpec, arrays: Arrays, side: str) -> list[tuple[Field, Rows]]:
    """Each field with the fused row of every id of its table; the last entry is that of ids newer than the table."""
    offsets, tables = spec.offsets(), {}
    for name in {f.table for f in spec.side(side)}:
        slots = np.append(arrays[f"slots.{name}"], np.int32(0))
        tables[name] = np.where(slots > 0, slots + np.int32(offsets[name]), 0).astype(np.int32)
    return [(f, tables[f.table]) for f in spec.side(side)]


class _Numbers:
    """The numbers of one side. Counters, rates and cross features are read by one kernel."""

    def __init__(self, spec: FeatureSpec, arrays: Arrays, state: State, side: str) -> None:
        chosen = [i for i, n in enumerate(spec.numerics) if n.side == side]
        self._spec, self._state, self._is_user = spec, state, side == "user"
        self._numerics = [(spec.numerics[i], float(arrays["prior"][i])) for i in chosen]
        self._edges = np.ascontiguousarray(arrays["edges"][chosen])
        self._how = np.array([_how(n, state.count_names) for n, _ in self._numerics], np.int64).reshape(-1, 4)
        k = spec.prior_count
        self._prior = np.array([k * prior for _, prior in self._numerics]).astype(np.float32)
        self._count = np.float32(k)
        self._others = np.flatnonzero(self._how[:, 0] == OTHER).tolist()

    def __call__(self, probed: Probed) -> Floats:
        n = len(probed.users) if self._is_user else len(probed)
        values = np.empty((len(self._numerics), n), np.float32)
        for i in self._others:
            numeric, prior = self._numerics[i]
            values[i] = raw_numeric(self._spec, numeric, self._state, probed, prior)
        own = probed.users.counts if self._is_user else probed.item_counts
        blocks = (own, probed.author_counts, probed.topic_counts, probed.pair_counts, probed.cross)
        read(*blocks, self._how, self._prior, self._count, values)
        return with_powers(values, self._edges)


def _how(numeric: Numeric, count_names: Sequence[str]) -> tuple[int, int, int, int]:
    """(how, block, column, column below): which columns of which block of ``Probed`` a number is made of."""
    entity, _, rest = numeric.source.partition(".")
    if entity == "cross" and rest in CROSS:
        return SINCE if rest.endswith("_last_s") else CROSSED, 0, CROSS.index(rest), 0
    is_rate = entity == "rate"
    if is_rate:
        entity, _, rest = rest.partition(".")
    columns = rest.split("/")
    known = ("user",) if numeric.side == "user" else BLOCKS
    if entity not in known or len(columns) != 1 + is_rate or not set(columns) <= set(count_names):
        return OTHER, 0, 0, 0
    block = 0 if entity == "user" else BLOCKS.index(entity)
    return RATE if is_rate else COUNTER, block, count_names.index(columns[0]), count_names.index(columns[-1])


@njit(cache=True, nogil=True)
def read(
    own: Floats, author: Floats, topic: Floats, pair: Floats, cross: Floats,
    how: NDArray[np.int64], prior: Floats, count: np.float32, out: Floats,
) -> None:  # fmt: skip
    """Raw numbers float32[F, n] into ``out``; rows of kind OTHER are left as they are.

    Args:
        how: int64[F, 4] of ``_how``.
        prior: float32[F] events of a rate's prior that are above the line, of ``count`` in all.
    """
    for f in range(len(how)):
        kind, block, a, b = how[f]
        if kind in (CROSSED, SINCE):
            for r in range(out.shape[1]):
                v = cross[r, a]
                out[f, r] = np.inf if kind == SINCE and np.isnan(v) else v
        elif kind != OTHER:
            counts = own if block == 0 else author if block == 1 else topic if block == 2 else pair
            for r in range(out.shape[1]):
                if kind == COUNTER:
                    out[f, r] = counts[r, a]
                else:
                    out[f, r] = (counts[r, a] + prior[f]) / (counts[r, b] + count)
