"""Many metrics and arms: how many of those that look different are so by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from feedmill.experiments.analysis.moments import Doubles


def q_values(p: Sequence[float]) -> Doubles:
    """float64[n]: of all rows with a q at most 5 %, 5 % are expected to be no difference.

    Benjamini and Hochberg 1995, which holds for independent p-values and for those that are positively related, as
    metrics of the same users mostly are.
    """
    if not len(p):
        return np.zeros(0)
    out: Doubles = np.asarray(stats.false_discovery_control(np.asarray(p, np.float64)), np.float64)
    return out
