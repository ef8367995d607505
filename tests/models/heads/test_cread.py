from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.models.heads.cread import CREADConfig, CREADHead, adaptive_levels
from watch_times import best_constant, segmm

EXPONENTIAL = (-20 * np.log1p(-(np.arange(1000) + 0.5) / 1000)).astype(np.float32)  # mean 20 s, median 20 ln 2
UNKNOWN = np.full(len(EXPONENTIAL), np.nan, np.float32)
NONE = torch.full((1,), torch.nan)
PURE = CREADConfig(restore_weight=0, order_weight=0)


@given(st.integers(2, 200), st.floats(0, 50))
def test_levels_rise_from_0_to_1_and_crowd_towards_1(n_bins: int, alpha: float) -> None:
    levels = adaptive_levels(n_bins, alpha)
    steps = np.diff(levels)
    assert levels[0] == 0
    assert levels[-1] == pytest.approx(1)
    assert (steps >= 0).all()
    assert (np.diff(steps) <= 1e-9).all()


def test_alpha_0_is_equal_frequency() -> None:
    np.testing.assert_allclose(adaptive_levels(4, 0), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(adaptive_levels(4, 1e-9), [0, 0.25, 0.5, 0.75, 1], atol=1e-8)


def test_a_larger_alpha_evens_the_widths_of_bins_of_a_long_tail() -> None:
    last = [CREADHead(CREADConfig(alpha=alpha), EXPONENTIAL, UNKNOWN).steps[-1].item() for alpha in (0.0, 2.0, 5.0)]
    assert last[0] > last[1] > last[2]


def test_restored_is_the_sum_of_widths_passed() -> None:
    """By hand: two bins, edges at 10 and the largest label 30; chances from their log-odds."""
    seconds = np.array([0, 10, 20, 30], np.float32)
    head = CREADHead(CREADConfig(n_bins=2, alpha=0), seconds, UNKNOWN[:4])
    assert head.edges.tolist() == [10, 30]
    assert head.steps.tolist() == [10, 20]
    logits = torch.tensor([[0.0, 1.0]]) - head.start
    assert head.predict(logits, NONE).item() == pytest.approx(10 / 2 + 20 / (1 + np.exp(-1)))


def test_loss_by_hand() -> None:
    seconds = np.array([0, 10, 20, 30], np.float32)
    head = CREADHead(CREADConfig(n_bins=2, alpha=0, huber_delta=0.1), seconds, UNKNOWN[:4])
    p = np.array([0.5, 1 / (1 + np.exp(-1))])
    far = abs(10 * p[0] + 20 * p[1] - 15) / seconds.std()
    expected = -(np.log(p[0]) + np.log(1 - p[1])) / 2 + 0.3 * 0.1 * (far - 0.05) + (p[1] - p[0]) / 2
    logits = torch.tensor([[0.0, 1.0]]) - head.start
    assert head.loss(logits, torch.tensor([15.0]), NONE).item() == pytest.approx(expected, rel=1e-5)


def test_the_order_term_is_only_of_chances_that_rise() -> None:
    head = CREADHead(CREADConfig(n_bins=3, alpha=0, restore="means"), EXPONENTIAL, UNKNOWN)
    plain = CREADHead(CREADConfig(n_bins=3, alpha=0, restore="means", order_weight=0), EXPONENTIAL, UNKNOWN)
    t = torch.tensor([5.0])
    falling, rising = (torch.tensor([z]) - head.start for z in ([1.0, -1.0], [-1.0, 1.0]))
    assert torch.equal(head.loss(falling, t, NONE), plain.loss(falling, t, NONE))
    more = (head.loss(rising, t, NONE) - plain.loss(rising, t, NONE)).item()
    assert more == pytest.approx(np.tanh(0.5) / 2)  # sigmoid(1) - sigmoid(-1), of two thresholds


def test_logits_of_0_are_the_shares_beyond_each_threshold_and_the_best() -> None:
    head = CREADHead(PURE, EXPONENTIAL, UNKNOWN)
    shares = (EXPONENTIAL[:, None] > head.edges.numpy()).mean(axis=0)
    np.testing.assert_allclose(torch.sigmoid(head.start).numpy(), shares, atol=6e-4)
    t, logits = torch.from_numpy(EXPONENTIAL), torch.zeros(1, head.n_logits, requires_grad=True)
    head.loss(logits.expand(len(t), -1), t, t).mean().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().max().item() < 2e-5


def test_upper_edges_read_the_lower_sum_of_the_curve_of_who_still_watches() -> None:
    """0.94 of an exponential's mean at 32 bins; the sum over survival at the edges, by hand."""
    head = CREADHead(PURE, EXPONENTIAL, UNKNOWN)
    edges = head.edges.double().numpy()
    lower = np.diff(edges, prepend=0) @ np.append(np.exp(-edges[:-1] / 20), 0)
    assert best_constant(head, EXPONENTIAL) == pytest.approx(lower, rel=5e-3)
    assert lower / 20 == pytest.approx(0.938, abs=5e-3)


def test_bin_means_restore_the_mean() -> None:
    config = convert({"restore": "means", "restore_weight": 0}, CREADConfig)
    assert best_constant(CREADHead(config, EXPONENTIAL, UNKNOWN), EXPONENTIAL) == pytest.approx(20, rel=5e-3)


def test_bin_means_restore_the_mean_of_few_distinct_labels_in_other_shares_than_learned() -> None:
    """With a bin for each label, whatever the rows."""
    head = CREADHead(
        convert({"restore": "means", "restore_weight": 0, "n_bins": 12, "alpha": 0}, CREADConfig),
        np.repeat([0, 3, 9, 30], [10, 20, 40, 30]).astype(np.float32), UNKNOWN[:100],
    )  # fmt: skip
    rows = np.repeat([0, 3, 9, 30], [5, 10, 5, 2]).astype(np.float32)
    assert head.n_logits == 3
    assert best_constant(head, rows) == pytest.approx(rows.mean(), rel=1e-3)


def test_hubers_term_draws_a_skewed_label_low() -> None:
    served = []
    for weight in (0.0, 0.3, 3.0):
        config = convert({"restore": "means", "restore_weight": weight}, CREADConfig)
        served.append(best_constant(CREADHead(config, EXPONENTIAL, UNKNOWN), EXPONENTIAL) / 20)
    assert served[1] == pytest.approx(0.946, abs=5e-3)
    assert served[0] > served[1] > served[2] > np.log(2)


def test_logits_of_0_restore_the_mean_of_the_training_rows() -> None:
    head = CREADHead(convert({"restore": "means"}, CREADConfig), EXPONENTIAL, UNKNOWN)
    assert head.predict(torch.zeros(1, head.n_logits), NONE).item() == pytest.approx(20, rel=5e-3)


def test_one_distinct_label_or_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="all 40 watch times are 5 s"):
        CREADHead(CREADConfig(), np.full(40, 5, np.float32), UNKNOWN[:40])
    with pytest.raises(DataError, match="3 watch times for 32 bins"):
        CREADHead(CREADConfig(), EXPONENTIAL[:3], UNKNOWN[:3])


@pytest.mark.parametrize(
    ("block", "share"),
    [
        ({}, 0.872),
        ({"restore": "means"}, 0.918),
        ({"restore": "means", "restore_weight": 0}, 1.0),
    ],
)
def test_on_real_watch_times(shared_data: Path, block: dict[str, Any], share: float) -> None:
    t, duration = segmm(shared_data)
    head = CREADHead(convert(block, CREADConfig), t, duration)
    assert best_constant(head, t) / t.mean() == pytest.approx(share, abs=0.004)
