import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.models.heads.retransformation import Retransformation


def back(t: np.ndarray) -> float:
    return float(np.expm1(np.log1p(t).mean()))


def test_by_hand() -> None:
    """Durations of 10 s: 0 and 8 turn back to 2, of a mean of 4; of 40 s: all watch 5. Half way in log: between."""
    t = np.tile([0.0, 8.0, 5.0, 5.0], 100)
    duration = np.tile(np.array([10, 10, 40, 40], np.float32), 100)
    by = Retransformation(t, back, duration, "duration")
    np.testing.assert_allclose(by(torch.tensor([1.0, 10.0, 20.0, 40.0, 900.0])), [2, 2, 1.5, 1, 1], rtol=1e-6)
    one = Retransformation(t, back, duration, "constant")
    np.testing.assert_allclose(one(torch.tensor([1.0, 900.0])), (4 + 5) / (2 + 5), rtol=1e-6)


def test_few_rows_are_one_group_and_nobody_watching_is_no_division_by_zero() -> None:
    t, duration = np.array([0.0, 8.0]), np.array([10, 40], np.float32)
    assert Retransformation(t, back, duration, "duration")(torch.tensor([25.0])).item() == pytest.approx(2)
    none = np.repeat([0.0, 4.0], 200)
    by = Retransformation(none, back, np.repeat(np.array([10, 40], np.float32), 200), "duration")
    np.testing.assert_allclose(by(torch.tensor([10.0, 40.0])), [1, 1])


@given(st.integers(0, 10_000), st.integers(2, 1500), st.floats(0, 2))
def test_never_below_one_and_makes_up_the_mean_of_what_it_was_read_off(seed: int, n: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    duration = random.lognormal(3, spread, n).astype(np.float32)
    t = duration * random.exponential(1, n)
    by = Retransformation(t, back, duration, "duration")
    factor = by(torch.from_numpy(duration)).numpy()
    assert (factor >= 1 - 1e-5).all()
    one = Retransformation(t, back, duration, "constant")(torch.from_numpy(duration)).numpy()
    assert (one >= 1 - 1e-5).all()
    assert factor.min() <= one[0] * (1 + 1e-5)
    assert one[0] <= factor.max() * (1 + 1e-5)
