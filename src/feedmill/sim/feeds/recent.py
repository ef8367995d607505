"""The last videos of each person, in a ring: what not to show again, or what to go by."""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Rows
from feedmill.sim.feeds.kernels import note


class Recent:
    """The last ``length`` videos of each person, whoever that is.

    Attributes:
        item: int32[N, length]; entry j of a person stands at j modulo the length.
        n: int32[N] entries there have been.
    """

    def __init__(self, length: int) -> None:
        self.item: Rows = np.zeros((0, length), np.int32)
        self.n: Rows = np.zeros(0, np.int32)

    def has(self, user: Rows) -> None:
        """Make room for these people."""
        n = int(user.max(initial=-1)) + 1
        if n > len(self.n):
            more = max(n, 2 * len(self.n), 64) - len(self.n)
            self.item = np.concatenate([self.item, np.zeros((more, self.item.shape[1]), np.int32)])
            self.n = np.concatenate([self.n, np.zeros(more, np.int32)])

    def note(self, user: Rows, item: Rows) -> None:
        """Append, in order."""
        self.has(user)
        note(user, item, self.item, self.n)
