"""One metric of one experiment, a row per user: what an analysis reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """n users, each in one arm; a metric is sum(num) / sum(den) of an arm.

    Attributes:
        arms: names of the arms.
        arm: int32[n] index into them.
        num: float64[n] such as seconds watched, or clicks.
        den: float64[n] such as 1 for a mean per user, or impressions for a rate.
        num_before, den_before: float64[n] the same of the days before the experiment began, 0 for who was not there.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int32]
    num: Doubles
    den: Doubles
    num_before: Doubles
    den_before: Doubles

    def __len__(self) -> int:
        return len(self.arm)

    def of(self, arm: str) -> Units:
        """Those of one arm."""
        there = self.arm == self.arms.index(arm)
        columns = (self.arm, self.num, self.den, self.num_before, self.den_before)
        return Units(self.arms, *(column[there] for column in columns))
