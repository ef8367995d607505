from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.down_sampling import corrected, corrected_heads

shares = st.floats(1e-4, 1)
rates = st.floats(1e-6, 1 - 1e-6)


def test_one_in_a_thousand_reads_nine_in_a_hundred_and_is_put_right() -> None:
    rate, w = 0.001, 0.01
    raw = rate / (rate + (1 - rate) * w)
    assert raw == pytest.approx(0.091, abs=1e-3)
    assert corrected(np.array([raw]), w).tolist() == pytest.approx([rate])


@given(rates, shares)
def test_it_undoes_any_share(rate: float, w: float) -> None:
    raw = np.array([rate / (rate + (1 - rate) * w)])
    assert corrected(raw, w)[0] == pytest.approx(rate, rel=1e-6)
    assert corrected_heads(raw[:, None], w)[0, 0] == pytest.approx(rate, rel=1e-6), "one head is the same"


def test_ends_stay_and_nothing_kept_out_changes_nothing() -> None:
    p = np.array([0, 0.3, 1, np.nan])
    np.testing.assert_array_equal(corrected(p, 1.0), p)
    np.testing.assert_array_equal(corrected(p, 0.1)[[0, 2]], [0, 1])
    assert np.isnan(corrected(p, 0.1)[3])


def test_heads_that_share_rows_are_put_right_together() -> None:
    """Clicks of 2 %, a fifth of them liked. Like's own negatives were not kept with chance w: clicks all stayed."""
    random, w = rng(0, "rows"), 0.02
    click = random.random(400_000) < 0.02
    like = click & (random.random(len(click)) < 0.2)
    kept = click | (random.random(len(click)) < w)
    raw = np.array([[click[kept].mean(), like[kept].mean()]])
    assert corrected_heads(raw, w)[0].tolist() == pytest.approx([click.mean(), like.mean()], rel=0.03)
    assert corrected(raw[:, 1], w)[0] < 0.6 * like.mean(), "alone, like's formula reads low"


def test_a_missing_head_leaves_the_others() -> None:
    probs = np.array([[0.5, np.nan], [np.nan, np.nan]])
    out = corrected_heads(probs, 0.1)
    assert out[0, 0] == pytest.approx(corrected(probs[:1, 0], 0.1)[0])
    assert np.isnan(out[[0, 1, 1], [1, 0, 1]]).all()
    assert corrected_heads(np.zeros((3, 0)), 0.5).shape == (3, 0)


@pytest.mark.parametrize("w", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(w: float) -> None:
    with pytest.raises(DataError, match="keep_negatives"):
        corrected(np.array([0.5]), w)


def test_logits_are_refused() -> None:
    with pytest.raises(DataError, match="probabilities from -2"):
        corrected(np.array([-2.0, 0.5, np.nan]), 0.1)
