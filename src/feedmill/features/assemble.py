"""assemble: the ONE function from (state, users, items) to features, used by training and by serving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.protocols import Arrays
from feedmill.features.quantile import with_powers
from feedmill.features.sources import raw_ids, raw_numeric
from feedmill.features.spec import FeatureSpec
from feedmill.state import Probed, State


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


def numerics(spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, side: str) -> Floats:
    """float32[n, 3 N] normalised numbers of one side."""
    chosen = [i for i, numeric in enumerate(spec.numerics) if numeric.side == side]
    values = np.empty((len(chosen), len(probed.users) if side == "user" else len(probed.item)), np.float32)
    for row, i in enumerate(chosen):
        values[row] = raw_numeric(spec, spec.numerics[i], state, probed, float(arrays["prior"][i]))
    return with_powers(values, arrays["edges"][chosen])
