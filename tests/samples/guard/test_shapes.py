import math

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.metrics.stability import stability
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.shapes import Shape, smoothed

CONFIG = GuardConfig()


def test_the_stability_index_by_hand() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    by_hand = 0.25 * math.log(1.5) - 0.25 * math.log(0.5)
    assert stability(smoothed(1e6 * p), smoothed(1e6 * q)) == pytest.approx(by_hand, rel=1e-4)
    assert stability(smoothed(p), smoothed(p)) == 0


def test_a_column_that_always_moves_must_move_more() -> None:
    """Windows of few people: each fills two of eight bins. Its limit is twice the most it ever moved."""
    draw, shape = rng(0, "shape"), Shape()
    for minute in range(60):
        counts = np.zeros(8)
        counts[draw.integers(0, 8, 2)] += 100
        shape.observe("people", counts, minute, CONFIG, is_open=False)
    settled = Shape()
    for minute in range(60):
        settled.observe("people", draw.multinomial(200, np.full(8, 1 / 8)).astype(float), minute, CONFIG, is_open=False)
    one = np.array([200.0, 0, 0, 0, 0, 0, 0, 0])
    assert settled.observe("people", one, 61, CONFIG, is_open=False) is not None
    assert shape.observe("people", one, 61, CONFIG, is_open=False) is None


def test_a_break_in_the_baseline_does_not_count() -> None:
    """Windows of a constant column, among those that nothing judges: the limit is what it would be without them."""
    usual, fixed = np.array([200.0, 300, 300, 200]), np.array([1000.0, 0, 0, 0])
    for n_broken in (0, 1, 4):
        shape = Shape()
        for minute, counts in enumerate([*[fixed] * n_broken, *[usual] * 10]):
            assert shape.observe("age", counts, minute, CONFIG, is_open=False) is None
        found = shape.observe("age", fixed, 20, CONFIG, is_open=False)
        assert found is not None
        assert found.usual == pytest.approx(CONFIG.psi + 2 * 3 / 1000), "the limit"
        assert shape.observe("age", usual, 21, CONFIG, is_open=False) is None


def test_few_values_wait() -> None:
    shape = Shape()
    for minute in range(40):
        shape.observe("position", np.array([10.0, 10.0]), minute, CONFIG, is_open=False)
    assert len(shape.past) == 20  # 20 values a bin
    assert shape.observe("position", np.array([20.0, 0.0]), 40, CONFIG, is_open=False) is None
    found = shape.observe("position", np.array([20.0, 0.0]), 41, CONFIG, is_open=False)
    assert found is not None
    assert (found.from_ms, shape.is_off) == (40, True)
