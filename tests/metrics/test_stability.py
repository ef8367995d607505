import math

import numpy as np
import pytest

from feedmill.metrics.stability import stability


def test_the_stability_index_by_hand() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    assert stability(p, q) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))
    assert stability(p, q) == pytest.approx(stability(q, p)), "whichever way"
    assert stability(p, p) == 0
