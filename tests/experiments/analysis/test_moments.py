"""Sums over users: as NumPy's means and covariances, whatever the scale."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.experiments.analysis.moments import Products, of_arms
from feedmill.metrics.rollup.units import Units


def drawn(n: int, scale: float = 1.0) -> Units:
    draw = rng(0, "moments", n)
    columns = scale * draw.lognormal(0, 1, (4, n)) + 1e6 * (scale > 1)
    return Units(("a", "b"), draw.integers(0, 2, n).astype(np.int32), *columns)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e5])
def test_arms_are_as_numpy_says(scale: float) -> None:
    units = drawn(50, scale)
    found = of_arms(units)
    for k in range(2):
        of = units.arm == k
        columns = np.stack([c[of] for c in (units.num, units.den, units.num_before, units.den_before)])
        assert found.n[k] == of.sum()
        np.testing.assert_allclose(found.mean[k, :4], columns.mean(axis=1), rtol=1e-9)
        np.testing.assert_allclose(found.cov[k, :4, :4], np.cov(columns), rtol=1e-6, atol=1e-9 * scale**2)


def test_who_has_a_history_is_a_column() -> None:
    units = Units(("a",), np.zeros(4, np.int32), *np.array([[1.0] * 4, [1] * 4, [0, 2, 0, 0], [0, 1, 1, 0]]))
    found = of_arms(units)
    assert found.mean[0, 4] == 0.5
    assert found.cov[0, 4, 4] == pytest.approx(1 / 3)


def test_groups_too_small_have_no_covariance() -> None:
    found = Products(drawn(5)).of(np.array([[0.0] * 5, [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]]))
    assert np.isnan(found.mean[0]).all()
    assert np.isnan(found.cov[:2]).all()
    assert np.isfinite(found.cov[2]).all()


def test_columns_all_alike_have_no_variance() -> None:
    same = np.full(6, 0.1)
    found = Products(Units(("a",), np.zeros(6, np.int32), same, same, same, same)).of(np.ones((1, 6)))
    np.testing.assert_allclose(found.cov, 0, atol=1e-30)
    np.testing.assert_allclose(found.mean[0, :4], 0.1)
