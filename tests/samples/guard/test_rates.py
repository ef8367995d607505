import math

import pytest

from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.rates import Entry, OfHour, Rate

CONFIG = GuardConfig(baseline=60, season=0.0)
HOUR = 3_600_000


def settled(counts: list[float], of: float = 1000.0) -> Rate:
    """A rate whose baseline is these counts."""
    return Rate(past=[Entry(k, of, 0) for k in counts])


def test_the_standard_deviations_by_hand() -> None:
    """0 where 100 are expected, against 10 times as many: -100 / sqrt(100 (1 + 1/10)) = -9.5."""
    found = settled([100.0] * 10).observe("click", Entry(0, 1000, 7), CONFIG, is_open=False)
    assert found is not None
    assert (found.found, found.usual, found.from_ms) == (0, pytest.approx(0.1), 7)
    assert "(-10 standard deviations)" in found.words


def test_counts_that_vary_more_than_chance_make_it_patient() -> None:
    """60 and 140 by turns: variance 1600 (10/9) is 17.8 times Poisson's, so -100 is -2.3 standard deviations, and 50
    more are 1.1; two windows of nothing are 3.1, eight are 5.0."""
    rate = settled([60.0, 140.0] * 5)
    z = -800 / math.sqrt(1600 / 100 * (10 / 9) * 800 * (1 + 8 / 10))
    assert z == pytest.approx(-5.0, abs=0.01)
    for minute in range(8):
        assert rate.observe("click", Entry(0, 1000, minute), CONFIG, is_open=False) is None
    patient = GuardConfig(z=4.9, season=0.0)
    found = [settled([60.0, 140.0] * 5)] * 8
    seen = [r.observe("click", Entry(0, 1000, m), patient, is_open=False) for m, r in enumerate(found)]
    assert [f is not None for f in seen] == [False] * 7 + [True]
    assert seen[-1] is not None
    assert seen[-1].from_ms == 0, "since the first of the eight"


def test_it_must_be_far_besides() -> None:
    """A fifth less of a million is a hundred standard deviations, and no break."""
    rate = settled([1e5] * 10, 1e6)
    assert rate.observe("click", Entry(8e4, 1e6, 0), CONFIG, is_open=False) is None
    assert rate.observe("click", Entry(6e4, 1e6, 0), CONFIG, is_open=False) is not None


def test_an_hour_is_what_it_was_on_other_days() -> None:
    hour = OfHour()
    for day, k in ((0, 10.0), (0, 10.0), (1, 40.0), (3, 100.0)):
        hour.add(Entry(k, 100.0, day * 24 * HOUR), 0.5)
    assert hour.before(3, 0.5) == ((20 * 0.5 + 40) * 0.25, (200 * 0.5 + 100) * 0.25)
    assert hour.before(4, 0.5) == ((12.5 + 100) * 0.5, (50 + 100) * 0.5)


def test_a_kind_that_nobody_uses_yet_is_forgotten_and_not_held_against_its_beginning() -> None:
    rate = Rate()
    for minute in range(1000):
        rate.observe("favourite", Entry(0, 10_000, minute), CONFIG, is_open=False)
    assert rate.pending is None or rate.pending.of <= 300_000
    found = [rate.observe("favourite", Entry(50, 10_000, m), CONFIG, is_open=False) for m in range(100)]
    assert found == [None] * 100
