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


def test_a_break_in_the_baseline_does_not_count() -> None:
    """Eight windows of 95 and 105 by turns, two of 100, and three of nothing: the usual is 100 of 1000 as if the three
    had never been, and 0 is -100 / sqrt(100 (1 + 1/10)) = -9.5 again. With the three the rate is 77 and the counts vary
    25 times as much as Poisson's: -1.7, and after eight windows of nothing -3.9, which is no finding."""
    counts = [100.0, *[95.0, 105.0] * 4, 100.0]
    for past in ([0.0, 0, 0, *counts], [*counts[:5], 0.0, 0, 0, *counts[5:]], [*counts, 0.0, 0, 0]):
        found = settled(past).observe("click", Entry(0, 1000, 7), CONFIG, is_open=False)
        assert found is not None
        assert found.usual == pytest.approx(0.1)
        assert "(-10 standard deviations)" in found.words
        blind = settled(past)
        for minute in range(8):
            entry = Entry(0, 1000, minute)
            assert blind.observe("click", entry, GuardConfig(outlier=1e9, season=0.0), is_open=False) is None


def test_a_new_level_that_is_no_break_becomes_the_usual_when_most_of_the_baseline_is_of_it() -> None:
    """From 1000 to 1300 of 10,000, which is not far enough to be off."""
    rate = settled([1000.0] * 60, 1e4)
    usual = []
    for minute in range(80):
        assert rate.observe("click", Entry(1300, 1e4, minute), CONFIG, is_open=False) is None
        usual.append(rate.usual(CONFIG))
    assert usual[20] == pytest.approx(0.1)
    assert usual[-1] == pytest.approx(0.13)


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


def test_windows_in_which_nothing_was_shown_wait_for_one_in_which_something_was() -> None:
    rate = settled([100.0] * 10)
    assert rate.observe("click", Entry(500, 0, 1), CONFIG, is_open=False) is None
    found = rate.observe("click", Entry(100, 1000, 2), CONFIG, is_open=False)
    assert found is not None
    assert (found.found, found.from_ms) == (0.6, 1)


def test_a_kind_that_nobody_uses_yet_is_forgotten_and_not_held_against_its_beginning() -> None:
    rate = Rate()
    for minute in range(1000):
        rate.observe("favourite", Entry(0, 10_000, minute), CONFIG, is_open=False)
    assert rate.pending is None or rate.pending.of <= 300_000
    found = [rate.observe("favourite", Entry(50, 10_000, m), CONFIG, is_open=False) for m in range(100)]
    assert found == [None] * 100
