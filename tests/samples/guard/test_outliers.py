from hypothesis import given
from hypothesis import strategies as st

from feedmill.samples.guard.outliers import FEWEST, are_usual


def test_by_hand() -> None:
    """Median 10, deviations 2 1 0 1 2 20: their median is 1.5, so 4 robust standard deviations are 8.9."""
    values = [8.0, 9, 10, 11, 12, 30]
    assert are_usual(values, 0.0, 4.0) == [True] * 5 + [False]
    assert are_usual(values, 20.0, 4.0) == [True] * 6, "the least that it takes"
    assert are_usual(values, 0.0, 1e9) == [True] * 6
    assert are_usual([5.0, 5, 5, 6], 0.0, 4.0) == [True, True, True, False]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 10), st.floats(1, 10))
def test_at_least_half_are_usual_and_order_says_nothing(values: list[float], least: float, sigmas: float) -> None:
    found = are_usual(values, least, sigmas)
    assert 2 * sum(found) >= len(values)
    assert are_usual(values[::-1], least, sigmas) == found[::-1]


@given(st.floats(-10, 10), st.integers(FEWEST, 30), st.data())
def test_less_than_half_cannot_move_what_is_usual(wild: float, n: int, data: st.DataObject) -> None:
    """However far they are, those that are alike stay usual, and those that are far do not become so."""
    few = data.draw(st.integers(0, (n - 1) // 2))
    values = [0.0] * (n - few) + [1e3 + abs(wild)] * few
    assert are_usual(values, 1.0, 4.0) == [True] * (n - few) + [False] * few
