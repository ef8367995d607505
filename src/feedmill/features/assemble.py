"""assemble: the ONE function from (state, users, items) to features, used by training and by serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import LANE_ROW, QUERY_LANES, Floats, Rows
from feedmill.core.protocols import Arrays
from feedmill.features.quantile import with_powers
from feedmill.features.searches import IDS_PER_SEARCH, search_ids
from feedmill.features.spec import FeatureSpec, Field, Numeric
from feedmill.state import CROSS, Catalogue, Probed, State

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """What a model reads. R requests, C candidates; ids are rows of the fused embedding table, 0 = zero vector.

    Attributes:
        user_ids: int32[R, Wu].
        user_numeric: float32[R, 3 Nu] in [0, 1].
        item_ids: int32[C, Wi].
        item_numeric: float32[C, 3 Ni] in [0, 1].
        request_of: int64[C], ascending.
    """

    user_ids: Rows
    user_numeric: Floats
    item_ids: Rows
    item_numeric: Floats
    request_of: NDArray[np.int64]


def assemble(spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed) -> FeatureBatch:
    """State, as of each request -> features.

    Args:
        arrays: what ``features.fit`` learned: ``slots.<table>``, ``edges``, ``prior``.
    """
    return FeatureBatch(
        ids(spec, arrays, state, probed, "user"),
        numerics(spec, arrays, state, probed, "user"),
        ids(spec, arrays, state, probed, "item"),
        numerics(spec, arrays, state, probed, "item"),
        probed.request_of.astype(np.int64),
    )


def ids(spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, side: str) -> Rows:
    """int32[n, W] rows of the fused table for one side; ids unknown at training time give row 0."""
    offsets = spec.offsets()
    columns = []
    for field in spec.side(side):
        rows = raw_ids(field, state, probed)
        slots = arrays[f"slots.{field.table}"]
        slot = np.where(rows < len(slots), slots[np.minimum(rows, len(slots) - 1)], 0)
        columns.append(np.where(slot > 0, slot + offsets[field.table], 0).astype(np.int32))
    n = len(probed.users) if side == "user" else len(probed.item)
    return np.ascontiguousarray(np.hstack(columns)) if columns else np.zeros((n, 0), np.int32)


def raw_ids(field: Field, state: State, probed: Probed) -> Rows:
    """int32[n, width] state rows or attribute codes of one field, before rare ids are dropped."""
    users, item = probed.users, probed.item
    name = field.source.partition(".")[2]
    if field.source in _SOURCES:
        return _SOURCES[field.source](state.catalogue, probed)
    if name in QUERY_LANES:
        return search_ids(
            state,
            _widen(users.history[:, LANE_ROW[name], : field.width // IDS_PER_SEARCH], field.width // IDS_PER_SEARCH),
        )
    if name in LANE_ROW:
        return _widen(users.history[:, LANE_ROW[name], : field.width], field.width)
    if field.side == "item":
        return state.catalogue.item_codes(name)[item][:, None]
    return profile(state.catalogue, probed, name)[:, None]


def profile(catalogue: Catalogue, probed: Probed, name: str) -> Rows:
    """int32[R] codes of one attribute of the users, 0 where the requests did not know it yet."""
    at = catalogue.user_attributes.index(name)
    known = probed.users.profile
    return known[:, at] if at < known.shape[1] else np.zeros(len(known), np.int32)


def _widen(rows: Rows, width: int) -> Rows:
    """Padded with 0 where the state keeps less than the spec reads."""
    return rows if rows.shape[1] == width else np.pad(rows, ((0, 0), (0, width - rows.shape[1])))


_SOURCES: dict[str, Callable[[Catalogue, Probed], Rows]] = {
    "user.id": lambda _, p: p.users.row[:, None],
    "user.hour": lambda _, p: (p.users.time_ms // HOUR_MS % 24 + 1).astype(np.int32)[:, None],
    # 1970-01-01 was a Thursday
    "user.weekday": lambda _, p: ((p.users.time_ms // (24 * HOUR_MS) + 3) % 7 + 1).astype(np.int32)[:, None],
    "item.id": lambda _, p: p.item[:, None],
    "item.author": lambda c, p: c.author[p.item][:, None],
    "item.topics": lambda c, p: c.topics[p.item],
}


def numerics(spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, side: str) -> Floats:
    """float32[n, 3 N] normalised numbers of one side."""
    chosen = [i for i, numeric in enumerate(spec.numerics) if numeric.side == side]
    values = np.empty((len(chosen), len(probed.users) if side == "user" else len(probed.item)), np.float32)
    for row, i in enumerate(chosen):
        values[row] = raw_numeric(spec, spec.numerics[i], state, probed, float(arrays["prior"][i]))
    return with_powers(values, arrays["edges"][chosen])


def raw_numeric(spec: FeatureSpec, numeric: Numeric, state: State, probed: Probed, prior: float) -> Floats:
    """float32[n] of one source, in the unit the state keeps it in; a rate is pulled towards its prior."""
    entity, _, rest = numeric.source.partition(".")
    if entity == "example":  # requests that are served are newer than what was learned from: 0
        return (np.maximum(spec.until_ms - probed.users.time_ms, 0) / 1e3).astype(np.float32)
    if entity == "attribute":
        return state.catalogue.numbers(rest, of="user")[profile(state.catalogue, probed, rest)]
    if entity == "cross":
        values = probed.cross[:, CROSS.index(rest)]
        return np.where(np.isnan(values), np.float32(np.inf), values) if rest.endswith("_last_s") else values
    if entity != "rate":
        return counts(probed, entity, rest)
    entity, _, ratio = rest.partition(".")
    above, _, below = ratio.partition("/")
    k = spec.prior_count
    return (counts(probed, entity, above) + k * prior) / (counts(probed, entity, below) + k)


def counts(probed: Probed, entity: str, name: str) -> Floats:
    """float32[n] of one counter of one entity, decayed to the request's time."""
    blocks = {
        "user": probed.users.counts,
        "item": probed.item_counts,
        "author": probed.author_counts,
        "topic": probed.topic_counts,
    }
    return blocks[entity][:, probed.count_names.index(name)]
