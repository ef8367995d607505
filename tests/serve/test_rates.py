"""Token buckets, against a clock that is moved by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.serve.rates import BURST_S, Rates


class Hand:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_two_seconds_worth_at_once_then_as_many_as_come() -> None:
    clock = Hand()
    rates = Rates(clock)
    assert [rates.take("a", 5) for _ in range(10)] == [0.0] * 10
    assert rates.take("a", 5) == pytest.approx(0.2)
    clock.now_s += 0.1
    assert rates.take("a", 5) == pytest.approx(0.1), "asking early costs nothing"
    clock.now_s += 0.1
    assert rates.take("a", 5) == 0.0
    assert rates.take("a", 5) > 0
    assert rates.take("b", 5) == 0.0, "everybody has a bucket of their own"
    clock.now_s += 1e6
    assert sum(rates.take("a", 5) == 0.0 for _ in range(100)) == 10


def test_less_than_one_a_second_still_lets_one_through() -> None:
    clock = Hand()
    rates = Rates(clock)
    assert rates.take("a", 0.1) == 0.0
    assert rates.take("a", 0.1) == pytest.approx(10.0)
    clock.now_s += 10.0
    assert rates.take("a", 0.1) == 0.0


def test_no_limit() -> None:
    rates = Rates(Hand())
    assert not any(rates.take("a", 0) for _ in range(10_000))


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200), st.floats(0.1, 50))
def test_nobody_gets_more_than_the_rate_and_the_burst(pauses: list[float], per_s: float) -> None:
    clock = Hand()
    rates, n = Rates(clock), 0
    for pause in pauses:
        clock.now_s += pause
        wait_s = rates.take("a", per_s)
        n += wait_s == 0.0
        assert 0.0 <= wait_s <= 1 / per_s + 1e-9
    assert n <= max(1.0, per_s * BURST_S) + sum(pauses) * per_s + 1e-6
