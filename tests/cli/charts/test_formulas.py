"""The curves' formulas: against the heads that learn by them, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.cli.charts import formulas
from feedmill.cli.charts.formulas import Bins, equal_frequency
from feedmill.core.clock import rng
from feedmill.models.heads.bins import BinnedConfig, bins_of
from feedmill.models.heads.distilled import DistilledConfig, DistilledHead
from feedmill.models.heads.wce import WCEConfig, WCEHead

SECONDS = rng(0, "charts").exponential(20.0, 2000).astype(np.float32)
DURATION = np.full(len(SECONDS), 30.0, np.float32)


@pytest.mark.parametrize(("scheme", "odds", "seconds"), [(1, 8, 255), (2, 8, 127), (2, 0.5, 0), (3, 8, 8), (1, 1, 1)])
def test_seconds_by_hand(scheme: int, odds: float, seconds: float) -> None:
    assert formulas.wce_seconds(scheme, np.array(odds)) == pytest.approx(seconds)


@pytest.mark.parametrize("scheme", [1, 2, 3])
def test_seconds_are_what_the_head_serves(scheme: int) -> None:
    head = WCEHead(WCEConfig(scheme=scheme), SECONDS, DURATION)
    z = torch.linspace(-2, 2, 41)
    served = head.predict((z - head.start)[:, None], torch.full_like(z, 30.0)).numpy()
    assert served == pytest.approx(formulas.wce_seconds(scheme, np.exp(z.numpy())), rel=1e-4, abs=1e-4)


def test_gradients_are_the_loss_s() -> None:
    head = WCEHead(WCEConfig(scheme=3), SECONDS, DURATION)
    t = torch.tensor([1.0, 10.0, 20.0, 30.0, 90.0], dtype=torch.float64, requires_grad=True)
    w = torch.full_like(t, 20.0)
    loss = head.loss((torch.log(t) - head.start)[:, None], w, w).sum() / head.config.weight
    (by_second,) = torch.autograd.grad(loss, t)
    at = t.detach().numpy()
    assert by_second.numpy() == pytest.approx(formulas.wce_gradient(at, 20.0), rel=1e-6, abs=1e-9)
    assert (by_second * t).detach().numpy() == pytest.approx(formulas.wce_logit_gradient(at, 20.0), rel=1e-6, abs=1e-9)
    assert formulas.wce_gradient(np.array([10.0, 30.0]), 20.0) == pytest.approx([-10 / 110, 10 / 930])


@given(st.floats(0.01, 300))
def test_fits_are_distributions_of_their_mean(mean: float) -> None:
    k = np.arange(int(60 * mean) + 60)
    p = formulas.geometric(mean, k)
    assert p.sum() == pytest.approx(1, rel=1e-6)
    assert p @ k == pytest.approx(mean, rel=1e-6)
    assert formulas.exponential(mean, k, k + 1).sum() == pytest.approx(1, rel=1e-6)
    assert formulas.exponential(mean, np.array([0.0]), np.array([np.inf]))[0] == 1


@pytest.mark.parametrize(
    ("config", "edges"),
    [
        ({"bins": "equal_frequency", "n_bins": 12}, equal_frequency(SECONDS.astype(np.float64), 12)),
        ({"bins": "uniform", "width_s": 7.0}, 7.0 * np.arange(1, 60)),
        ({"bins": "exponential", "growth": 8.0}, np.expm1(np.arange(1, 60) / 8)),
    ],
)
def test_bins_are_the_heads_bins(config: dict[str, Any], edges: np.ndarray) -> None:
    theirs, ours = bins_of(BinnedConfig(**config), SECONDS), Bins.cut(edges, SECONDS.astype(np.float64))
    for a, b in zip((theirs.lower, theirs.upper, theirs.mean), ours, strict=True):
        assert b == pytest.approx(a, rel=1e-5)
    assert np.bincount(ours.of(SECONDS.astype(np.float64))).tolist() == theirs.n_rows.tolist()


def test_labels_that_many_share_make_fewer_bins_and_none_is_empty() -> None:
    t = np.repeat([0.0, 0.0, 0.0, 5.0, 9.0], 10)
    bins = Bins.cut(equal_frequency(t, 10), t)
    assert bins.means.tolist() == [0, 5, 9]
    assert bins.of(np.array([0.0, 0.1, 5.0, 5.1, 99.0])).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
@pytest.mark.parametrize("by_width", [False, True])
def test_targets_are_the_head_s(noise: Any, by_width: bool) -> None:
    config = DistilledConfig(bins="exponential", growth=5.0, noise=noise, by_width=by_width)
    theirs = DistilledHead(config, SECONDS, DURATION).target(torch.tensor([22.0]))[0].numpy()
    ours = Bins.cut(np.expm1(np.arange(1, 40) / 5), SECONDS.astype(np.float64))
    width = ours.upper - ours.lower if by_width else None
    q = formulas.distilled(ours.means, 22.0, noise, 1.5 * 22.0**0.5, width)
    assert q == pytest.approx(theirs, rel=1e-3, abs=1e-7)


def test_targets_far_from_every_bin_are_numbers() -> None:
    q = formulas.distilled(np.array([1e6, 2e6]), 1.0, "gaussian", 1.0)
    assert q.tolist() == [1, 0]
