from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import ArtifactError
from feedmill.metrics.calibrators import Isotonic, Platt, Shifts, apply, logit, opened, sigmoid, stored

NOWHERE = np.zeros(3, np.int64)
probabilities = st.lists(st.floats(0, 1), min_size=2, max_size=30)


@given(st.floats(-14, 14))
def test_logit_undoes_sigmoid(z: float) -> None:
    assert logit(sigmoid(np.array([z])))[0] == pytest.approx(z, abs=1e-4)


def test_ends_are_finite_and_nothing_overflows() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0, 1]


def test_known_answers() -> None:
    p = np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(Platt(2.0, 0.0)(p, NOWHERE), p**2 / (p**2 + (1 - p) ** 2))
    np.testing.assert_allclose(Isotonic(np.array([0.3, 0.7]), np.array([0.1, 0.5]))(p, NOWHERE), [0.1, 0.3, 0.5])
    odds = np.exp(Shifts(np.log([1.0, 3.0])).shift)
    np.testing.assert_allclose(
        Shifts(np.log(odds))(p, np.array([0, 1, 1])), [0.2, 3 * 0.5 / (3 * 0.5 + 0.5), 2.7 / 2.8]
    )


@given(probabilities, st.floats(0.01, 5), st.floats(-5, 5))
def test_no_order_is_turned_round(drawn: list[float], slope: float, intercept: float) -> None:
    p = np.sort(np.array(drawn))
    same = np.zeros(len(p), np.int64)
    curve = Isotonic(np.array([0.1, 0.5, 0.6]), np.array([0.01, 0.02, 0.9]))
    for calibrator in (Platt(slope, intercept), curve, Shifts(np.array([intercept]))):
        out = calibrator(p, same)
        assert (np.diff(out) >= -1e-12).all()
        assert ((out >= 0) & (out <= 1)).all()


def test_apply_leaves_missing_ones_and_heads_without_a_calibrator() -> None:
    probs = np.array([[0.2, 0.2], [np.nan, 0.3]])
    out = apply({"like": Platt(1.0, 1.0)}, ("like", "share"), probs, np.zeros(2, np.int64))
    assert out[:, 1].tolist() == [0.2, 0.3]
    assert np.isnan(out[1, 0])
    assert out[0, 0] == pytest.approx(0.2 * np.e / (0.2 * np.e + 0.8))


def test_stored_and_opened_again() -> None:
    every = {
        "a": Platt(1.5, -0.25),
        "b": Isotonic(np.array([0.1, 0.4]), np.array([0.05, 0.5])),
        "c": Shifts(np.array([0.0, 0.5, -1.0])),
    }
    config, arrays = stored(every)
    again = opened(config, arrays)
    p, bucket = np.linspace(0, 1, 9), np.arange(9) % 3
    for head, calibrator in every.items():
        np.testing.assert_array_equal(again[head](p, bucket), calibrator(p, bucket))


@pytest.mark.parametrize("said", [{"kind": "spline"}, {"kind": "platt"}, {"kind": "isotonic"}, {"kind": "bucket"}, {}])
def test_what_cannot_be_read_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(ArtifactError, match="calibration of like"):
        opened({"like": said}, {})
