"""What is known of items beside their text, as bags of ids: author, topics, categorical attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedmill.core.batches import Rows
from feedmill.state import State


@dataclass(frozen=True, slots=True, eq=False)
class SideFields:
    """F bags of ids per item; all fields share one numbering.

    Attributes:
        ids: int32[N, W], 0 = unknown.
        starts: F + 1 offsets of fields in a row.
        n: the largest id there can be.
    """

    ids: Rows
    starts: list[int]
    n: int

    @staticmethod
    def of(columns: list[Rows]) -> SideFields | None:
        """int32[N, w] codes of each field, from 1; None where all are unknown."""
        used = [c for c in columns if c.any()]
        if not used:
            return None
        sizes = [int(c.max()) for c in used]
        offsets = np.cumsum([0, *sizes])
        ids = np.hstack([np.where(c > 0, c + o, 0) for c, o in zip(used, offsets[:-1], strict=True)])
        starts = np.cumsum([0, *(c.shape[1] for c in used)]).tolist()
        return SideFields(ids.astype(np.int32), starts, int(offsets[-1]))


def side_fields(state: State) -> SideFields | None:
    """Of every item row; None where nothing is known of any."""
    catalogue, n = state.catalogue, len(state.items)
    columns = [catalogue.author[:n, None], catalogue.topics[:n]]
    return SideFields.of(columns + [catalogue.item_codes(name)[:n, None] for name in catalogue.item_attributes])
