"""The population stability index: how far a distribution has moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stability(usual: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Sum (q - p) ln(q / p) over bins, of shares p (usual) and q (found), float64[bins] above 0 each."""
    return float(((found - usual) * np.log(found / usual)).sum())
