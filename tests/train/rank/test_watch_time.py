from __future__ import annotations

import numpy as np
import pytest

from feedmill.train.rank.watch_time import at_minimum

DRAWN = np.random.default_rng(0).exponential(1.0, (3, 500)) * np.array([[2.0], [10.0], [60.0]])
LASTS = np.array([10.0, 30.0, 90.0])
SECONDS, DURATION = DRAWN.ravel().astype(np.float32), np.repeat(LASTS, 500).astype(np.float32)


def said(**block: object) -> np.ndarray:
    return at_minimum(block, SECONDS, DURATION, DRAWN, LASTS)


@pytest.mark.parametrize("block", [{"kind": "wce"}, {"kind": "mse", "transform": "none"}])
def test_what_estimates_the_mean_says_it_of_each_group(block: dict[str, str]) -> None:
    assert said(**block) == pytest.approx(DRAWN.mean(axis=1), rel=1e-3)


def test_a_mean_of_logarithms_and_a_harmonic_one_read_low_by_as_much_as_they_should() -> None:
    assert said(kind="mse", transform="log") == pytest.approx(np.expm1(np.log1p(DRAWN).mean(axis=1)), rel=1e-3)
    assert said(kind="fraction") == pytest.approx(1 / (1 / (1 + DRAWN)).mean(axis=1) - 1, rel=1e-3)


def test_groups_do_not_feel_each_other() -> None:
    both, first = said(kind="wce"), at_minimum({"kind": "wce"}, SECONDS, DURATION, DRAWN[:1], LASTS[:1])
    assert both[0] == pytest.approx(first[0], rel=1e-3)
