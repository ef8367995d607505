import numpy as np
import pytest
import torch

from feedmill.models.heads.weighted_logistic import WeightedLogisticConfig, WeightedLogisticHead

SECONDS = np.array([0, 0, 0, 12.5], np.float32)
UNKNOWN = np.full(4, np.nan, np.float32)
HEAD = WeightedLogisticHead(WeightedLogisticConfig(cap_s=600.0, weight=1.0), SECONDS, UNKNOWN)
NONE = torch.full((1,), torch.nan)


def test_gradient_is_that_of_the_formula() -> None:
    """Watched: -t (1 - p); not watched: p."""
    z = torch.tensor([[-1.0], [0.5], [3.0]], requires_grad=True)
    seconds = torch.tensor([20.0, 0.0, 7.5])
    HEAD.loss(z, seconds, NONE).sum().backward()
    p = torch.sigmoid(z[:, 0])
    assert z.grad is not None
    torch.testing.assert_close(z.grad[:, 0], torch.where(seconds > 0, -seconds * (1 - p), p).detach())


def test_finite_at_nothing_at_the_cap_and_beyond() -> None:
    z = torch.tensor([[-80.0], [0.0], [80.0]]).repeat(4, 1).requires_grad_()
    seconds = torch.tensor([0.0, 600.0, 1e9, 1e-3]).repeat_interleave(3)
    loss = HEAD.loss(z, seconds, NONE)
    loss.sum().backward()
    assert z.grad is not None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z.grad).all()
    assert HEAD.predict(z, NONE).max().item() == pytest.approx(600.0)


def test_the_best_constant_reads_the_sum_over_what_was_not_watched() -> None:
    """S / (N - k), which is E[t] / (1 - k/N): 2 % above the mean where 2 % are watched."""
    random = np.random.default_rng(0)
    seconds = np.where(random.random(20_000) < 0.02, random.exponential(40.0, 20_000), 0.0).astype(np.float32)
    t = torch.from_numpy(np.minimum(seconds, 600))
    z = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    for _ in range(60):  # Newton's method on a convex function of one number
        (slope,) = torch.autograd.grad(HEAD.loss(z.expand(len(t), 1), t, NONE).mean(), z, create_graph=True)
        (bend,) = torch.autograd.grad(slope, z)
        with torch.no_grad():
            z -= (slope / bend).clamp(-0.5, 0.5)
    served = HEAD.predict(z, NONE).item()
    assert served == pytest.approx(t.sum().item() / (t == 0).sum().item(), rel=1e-3)
    assert served * (t == 0).float().mean().item() == pytest.approx(t.mean().item(), rel=1e-3)


def test_the_share_of_unwatched_rows_takes_the_bias_out() -> None:
    config = WeightedLogisticConfig(correct_rate=True)
    head = WeightedLogisticHead(config, SECONDS, UNKNOWN)
    z = torch.log(torch.tensor([[12.5 / 3]]))
    assert head.predict(z, NONE).item() == pytest.approx(SECONDS.mean())


def test_a_row_is_repeated_as_often_as_it_was_watched_seconds_on_average() -> None:
    head = WeightedLogisticHead(WeightedLogisticConfig(way="repeat", cap_s=20), SECONDS, UNKNOWN)
    seconds = np.tile(np.array([0, 2.25, 300], np.float32), 2000)
    found = head.examples(seconds, seed=0)
    assert found is not None
    times = np.bincount(found.row, minlength=len(seconds)).reshape(-1, 3)
    assert (times[:, 0] == 1).all()
    assert set(times[:, 1].tolist()) == {2, 3}
    assert times[:, 1].mean() == pytest.approx(2.25, abs=0.03)
    assert (times[:, 2] == 20).all()
    assert (found.label == (seconds[found.row] > 0)).all()
    assert HEAD.examples(seconds, seed=0) is None
