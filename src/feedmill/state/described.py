"""Which items have been described of late: so that what follows the catalogue need not look through all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedmill.core.batches import Rows

ROOM = 1 << 16  # rows remembered; who has missed more looks through everything


class Described:
    """Item rows in the order in which ITEM events have named them since this process began.

    Attributes:
        n: how many there have been.
    """

    def __init__(self) -> None:
        self.n = 0
        self._ring = np.zeros(ROOM, np.int32)

    def note(self, rows: Sequence[int]) -> None:
        """Append."""
        kept = np.asarray(rows[-ROOM:], np.int32)
        places = (self.n + len(rows) - len(kept) + np.arange(len(kept))) % ROOM
        self._ring[places] = kept
        self.n += len(rows)

    def since(self, n: int) -> Rows | None:
        """int32[k] rows, distinct and ascending, noted after the first n; None if some of them are forgotten."""
        if self.n - n > ROOM:
            return None
        return np.unique(self._ring[np.arange(n, self.n) % ROOM])
