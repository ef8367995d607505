"""An experiment with people whose watch time is known."""

from __future__ import annotations

import numpy as np
import pytest

from cli.simulation.diaries import diary
from feedmill.cli.simulation.experiment import compared, read_experiment, truth
from feedmill.core.batches import Rows
from feedmill.core.clock import rng
from feedmill.core.errors import DataError

N = 400
SECONDS = rng(1, "seconds").gamma(4.0, 25.0, N)


def half(user: Rows) -> Rows:
    return (user % 2).astype(np.int32)


def watched(lift: float, *, split: bool) -> list[tuple[int, int, float]]:
    """Everybody on both days; 1 + lift times as long for the odd, or for all."""
    treated = [u % 2 == 1 or not split for u in range(N)]
    return [(d, u, s * (1 + lift * t)) for d in range(2) for u, (s, t) in enumerate(zip(SECONDS, treated, strict=True))]


def test_the_change_is_found_and_the_truth_is_that_of_each_alone() -> None:
    split = diary(watched(0.2, split=True), n_days=2, joined=[-1] * N)
    alone = diary(watched(0.0, split=False), joined=[-1] * N), diary(watched(0.2, split=False), joined=[-1] * N)
    found = read_experiment("fast", {"a": 1}, split, half, alone)
    assert found is not None
    assert found.truth == pytest.approx(0.2)
    assert found.people == {"control": N // 2, "treatment": N // 2}
    assert found.change.low is not None
    assert found.change.high is not None
    assert found.change.low < 0.2 < found.change.high
    assert [look.day for look in found.looks] == [0, 1]
    by_hand = SECONDS[1::2].mean() * 1.2 / SECONDS[::2].mean() - 1
    assert found.change.value == pytest.approx(by_hand)


def test_people_who_never_came_count_for_nothing() -> None:
    few = diary([(0, u, float(1 + u)) for u in range(6)], joined=[-1] * 50)
    x = compared(few, half, 0, 3)
    assert (x.n, x.n_control, x.value, x.value_control) == (3, 3, 4.0, 3.0)


def test_too_few_to_compare_is_no_experiment() -> None:
    few = diary([(0, 0, 5.0), (0, 1, 5.0)], joined=[-1] * 2)
    with pytest.raises(DataError):
        compared(few, half, 0, 0)
    assert read_experiment("fast", {}, few, half, (few, few)) is None
    assert truth(diary(), few) is None


def test_days_before_tell_people_apart() -> None:
    """Who watches twice as long does so on both days: the day before takes off nearly all of the variance."""
    both = [(d, u, s * (1 + 0.1 * (d == 1 and u % 2))) for d in range(2) for u, s in enumerate(SECONDS.tolist())]
    x = compared(diary(both, n_days=2, joined=[-1] * N), half, 1, 1)
    assert x.cut > 0.95
    assert x.relative == pytest.approx(0.1, abs=0.01)
    alone = diary([(1, 0, 2.0)], joined=[-1]), diary([(0, 0, 9.0), (1, 0, 3.0)], joined=[-1])
    assert truth(*alone, 1) == pytest.approx(0.5)
