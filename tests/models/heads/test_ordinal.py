from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.models.heads.bins import bins_of
from feedmill.models.heads.ordinal import OrdinalConfig, OrdinalHead
from feedmill.models.heads.softmax import SoftmaxConfig, SoftmaxHead
from watch_times import drawn, segmm, unknown

ANY = torch.full((1,), torch.nan)


def made(seconds: np.ndarray, **parameters: Any) -> OrdinalHead:
    return OrdinalHead(OrdinalConfig(**parameters), seconds, unknown(len(seconds)))


def best(head: OrdinalHead, seconds: np.ndarray) -> float:
    """What is served at the least mean loss over rows that share their logits, and that it is the least."""
    t = torch.from_numpy(seconds).double()
    share = head.double().target(t).mean(0).clamp(1e-12, 1 - 1e-12)
    z = (torch.logit(share) - head.log_odds).repeat(len(t), 1).requires_grad_()
    head.loss(z, t, ANY).mean().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert z.grad.sum(0).abs().max() < 1e-9  # of a convex loss
    return head.predict(z.detach()[:1], ANY).item()


def test_targets_and_gradient_by_hand() -> None:
    """(p - y) / (K - 1): ones up to the row's own bin, both halves of the cross-entropy."""
    head = made(np.arange(1, 13, dtype=np.float32), n_bins=4)
    assert head.edges.tolist() == [3, 6, 9]
    t, y = torch.tensor([3.0, 7.0, 99.0]), torch.tensor([[0.0, 0, 0], [1, 1, 0], [1, 1, 1]])
    torch.testing.assert_close(head.target(t), y)
    z = torch.tensor([[0.3, -1.0, 2.0]]).repeat(3, 1).requires_grad_()
    head.loss(z, t, ANY).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    torch.testing.assert_close(z.grad, (head.probs(z.detach()) - y) / 3)


def test_serves_the_steps_between_centres() -> None:
    head = made(np.arange(1, 13, dtype=np.float32), n_bins=4)  # centres 2, 5, 8, 11
    z = torch.logit(torch.tensor([[0.9, 0.5, 0.1]])) - head.log_odds
    assert head.predict(z, ANY).item() == pytest.approx(2 + 3 * 0.9 + 3 * 0.5 + 3 * 0.1)
    assert head.predict(torch.full((1, 3), 1e6), ANY).item() == pytest.approx(11)
    assert head.predict(torch.full((1, 3), -1e6), ANY).item() == pytest.approx(2)


def test_starts_at_the_training_mean() -> None:
    t = drawn()
    head = made(t)
    assert head.predict(torch.zeros(1, head.n_logits), ANY).item() == pytest.approx(t.mean(), rel=1e-3)


def test_the_best_fit_reads_the_mean() -> None:
    t = drawn()
    assert best(made(t, cap_s=600.0), t) == pytest.approx(np.minimum(t, 600).mean(), rel=1e-5)
    assert best(made(t, n_bins=10), t) == pytest.approx(t.mean(), rel=1e-5)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_discrete_labels_are_read_exactly(seen: list[int]) -> None:
    """Bins of one value each: any mixture of those values is read as its mean."""
    values = np.array([0, 1, 3, 4, 9, 30, 200], np.float32)
    head = made(np.repeat(values, 3), n_bins=21)
    assert head.n_logits == 6
    assert best(head, values[seen]) == pytest.approx(values[seen].mean(), rel=1e-5, abs=1e-4)


@given(st.integers(0, 2**31), st.sampled_from(["equal_frequency", "exponential", "uniform"]))
def test_serves_what_a_softmax_over_the_same_bins_serves(seed: int, bins: str) -> None:
    t = drawn(2000, seed=seed)
    config: dict[str, Any] = {"bins": bins, "n_bins": 12, "growth": 4.0, "width_s": 20.0}
    softmax = SoftmaxHead(SoftmaxConfig(**config), t, unknown(len(t)))
    probs = torch.softmax(softmax.log_share + torch.randn(3, softmax.n_logits), dim=1).double()
    above = 1 - probs.cumsum(1)[:, :-1]
    head = made(t, **config).double()
    served = head.predict(torch.logit(above.clamp(1e-15, 1 - 1e-15)) - head.log_odds, ANY)
    torch.testing.assert_close(served, (probs * softmax.centres).sum(1), rtol=1e-5, atol=1e-4)


@pytest.mark.data
def test_lower_edges_read_the_mean_of_real_views_and_upper_ones_half_of_it(shared_data: Path) -> None:
    t, _ = segmm(shared_data)
    config = OrdinalConfig(n_bins=10)
    assert best(made(t, n_bins=10), t) == pytest.approx(t.mean(), rel=1e-5)
    bins = bins_of(config, t)
    beyond = (t[:, None] > bins.upper).mean(0)
    upper = float(np.diff(bins.mean, prepend=0) @ beyond)
    assert upper / t.mean() == pytest.approx(0.56, abs=0.005)
