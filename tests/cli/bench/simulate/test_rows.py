"""Figures over worlds and over people."""

from __future__ import annotations

import math

import pytest

from feedmill.cli.bench.simulate.rows import bounded, over, plain
from feedmill.metrics.intervals import Interval


def test_the_interval_over_worlds_is_students() -> None:
    row = over("order: fast", "minutes", [1.0, 2.0, 3.0], "min")
    half = 4.302653 / math.sqrt(3)  # t of 2 degrees of freedom, sd 1
    assert (row.value, row.low, row.high) == pytest.approx((2, 2 - half, 2 + half))
    assert (row.unit, row.split) == ("min; 95 % over worlds", "3 worlds")


def test_worlds_without_the_figure_are_left_out_and_one_has_no_interval() -> None:
    row = over("a", "b", [float("nan"), 4.0])
    assert (row.value, row.low, row.high) == (4.0, None, None)
    assert math.isnan(over("a", "b", []).value)
    assert plain("a", "b", 1.5).low is None


def test_ratios_become_changes() -> None:
    row = bounded("a", "b", Interval(1.1, 1.0, 1.3, 9), less=1.0)
    assert (row.value, row.low, row.high) == pytest.approx((0.1, 0.0, 0.3))
