from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.models.heads.distilled import DistilledConfig, DistilledHead
from watch_times import drawn, segmm, unknown

ANY = torch.full((1,), torch.nan)
NOISES = ("gaussian", "laplace")


def made(seconds: np.ndarray, **parameters: Any) -> DistilledHead:
    return DistilledHead(convert(parameters, DistilledConfig), seconds, unknown(len(seconds)))


def best(head: DistilledHead, seconds: np.ndarray) -> float:
    """What is served at the least mean loss over rows that share their logits."""
    share = head.target(torch.from_numpy(seconds)).double().mean(0, keepdim=True)
    return head.double().predict(torch.log(share.clamp(min=1e-30)) - head.log_share, ANY).item()


def ratio(seconds: np.ndarray, **parameters: Any) -> float:
    """What the best fit serves over the mean."""
    return best(made(seconds, **parameters), seconds) / float(seconds.mean())


@pytest.mark.parametrize("noise", NOISES)
def test_the_mean_target_is_the_best_fit(noise: str) -> None:
    """The gradient there is 0, of a convex loss."""
    t = drawn(500)
    head = made(t, noise=noise).double()
    z = torch.log(head.target(torch.from_numpy(t).double()).mean(0)) - head.log_share
    z = z.repeat(len(t), 1).requires_grad_()
    head.loss(z, torch.from_numpy(t).double(), ANY).mean().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert z.grad.sum(0).abs().max() < 1e-9


def test_targets_and_gradient_by_hand() -> None:
    t = np.array([1, 3, 5, 9], np.float32)
    given: dict[str, Any] = {"bins": [2.0, 4.0, 6.0], "sigma_s": 2.0}
    seconds = torch.tensor([4.0])
    gaussian = np.exp([-9 / 8, -1 / 8, -1 / 8, -25 / 8])
    np.testing.assert_allclose(made(t, **given).target(seconds)[0], gaussian / gaussian.sum(), rtol=1e-5)
    laplace = np.exp([-3 / 2, -1 / 2, -1 / 2, -5 / 2])
    np.testing.assert_allclose(made(t, noise="laplace", **given).target(seconds)[0], laplace / laplace.sum(), rtol=1e-5)
    edges = np.exp([-16 / 8, -4 / 8, 0, -4 / 8]) * [2, 2, 2, 3]  # at lower edges 0, 2, 4, 6; the last bin ends at 9
    head = made(t, points="edges", by_width=True, **given)
    np.testing.assert_allclose(head.target(seconds)[0], edges / edges.sum(), rtol=1e-5)
    z = torch.tensor([[0.3, -1.0, 2.0, 0.0]], requires_grad=True)
    head.loss(z, seconds, ANY).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    torch.testing.assert_close(z.grad, head.probs(z.detach()) - head.target(seconds))


def test_label_aware_width_has_a_floor() -> None:
    head = made(drawn(200), floor_s=0.5)
    torch.testing.assert_close(head.sigma(torch.tensor([0.0, 0.01, 4.0, 100.0])), torch.tensor([0.5, 0.5, 3.0, 15.0]))


def test_starts_at_the_average_target() -> None:
    t = drawn()
    head = made(t)
    assert head.predict(torch.zeros(1, head.n_logits), ANY).item() == pytest.approx(t.mean(), rel=1e-3)


def test_narrow_targets_are_hard_bins() -> None:
    t = np.repeat(np.array([1, 5, 20, 80], np.float32), 5)
    head = made(t, n_bins=20, sigma_s=0.1)
    torch.testing.assert_close(head.target(torch.tensor([5.0, 80.0])), torch.eye(4)[[1, 3]])
    assert best(head, t[7:]) == pytest.approx(t[7:].mean(), rel=1e-4)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(
    "bins",
    [
        {"bins": "equal_frequency"},
        {"bins": "exponential"},
        {"bins": "uniform"},
        {"bins": "exponential", "by_width": True},
        {"points": "edges"},
        {"bins": "exponential", "sigma_s": 2.0},
    ],
    ids=str,
)
def test_fitted_centres_read_the_mean_of_every_group(noise: str, bins: dict[str, Any]) -> None:
    """Of videos as long as 8, 20 and 60 s, which plain centres bend each in its own way."""
    groups = [drawn(4000, length_s=length_s, seed=length_s) for length_s in (8, 20, 60)]
    every = np.concatenate(groups)
    repaired = made(every, noise=noise, **bins)
    off = [best(repaired, t) / t.mean() - 1 for t in groups]
    assert max(map(abs, off)) < 0.015, off
    plain = made(every, noise=noise, recalibrate=False, **bins)
    if "sigma_s" not in bins:
        assert max(abs(best(plain, t) / t.mean() - 1) for t in groups) > 0.02


# Bins, noise, width of targets, what the best fit reads over the mean, and that with targets by width.
BENT = [
    ("exponential", "gaussian", None, 0.912, 1.015),
    ("exponential", "laplace", None, 0.865, 1.042),
    ("exponential", "gaussian", 2.0, 0.988, 1.011),
    ("exponential", "gaussian", 5.0, 0.963, 1.057),
    ("equal_frequency", "gaussian", None, 0.887, 1.009),
    ("equal_frequency", "laplace", None, 0.807, 1.048),
    ("equal_frequency", "gaussian", 1.0, 0.978, 0.982),
    ("uniform", "gaussian", None, 1.016, 1.016),
    ("uniform", "laplace", None, 1.041, 1.041),
]


@pytest.mark.data
@pytest.mark.parametrize(("bins", "noise", "sigma_s", "plain", "by_width"), BENT)
def test_how_bins_bend_the_mean_of_real_views(
    shared_data: Path, bins: str, noise: str, sigma_s: float | None, plain: float, by_width: float
) -> None:
    """Bins that grow with t read low, even ones a little high (nobody watches less than 0 s); centres repair both."""
    t, _ = segmm(shared_data)
    parameters: dict[str, Any] = {"bins": bins, "noise": noise, "sigma_s": sigma_s}
    assert ratio(t, recalibrate=False, **parameters) == pytest.approx(plain, abs=0.003)
    assert ratio(t, recalibrate=False, by_width=True, **parameters) == pytest.approx(by_width, abs=0.003)
    assert ratio(t, **parameters) == pytest.approx(1, abs=0.001)


@pytest.mark.data
def test_lower_edges_with_means_read_half_a_bin_high(shared_data: Path) -> None:
    t, _ = segmm(shared_data)
    assert ratio(t, points="edges", bins="uniform", width_s=2.0, recalibrate=False) == pytest.approx(1.061, abs=0.003)
    assert ratio(t, points="edges", bins="uniform", width_s=2.0) == pytest.approx(1, abs=0.001)


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="sigma_s must be above 0"):
        made(drawn(100), sigma_s=0.0)
