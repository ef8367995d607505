from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.models.heads.softmax import SoftmaxConfig, SoftmaxHead
from watch_times import drawn, unknown

ANY = torch.full((1,), torch.nan)


def made(seconds: np.ndarray, **parameters: Any) -> SoftmaxHead:
    return SoftmaxHead(SoftmaxConfig(**parameters), seconds, unknown(len(seconds)))


def best(head: SoftmaxHead, seconds: np.ndarray) -> float:
    """What is served at the least mean loss over rows that share their logits, and that it is the least."""
    t = torch.from_numpy(seconds).double()
    z = torch.log(head.double().target(t).mean(0).clamp(min=1e-12)) - head.log_share
    z = z.repeat(len(t), 1).requires_grad_()
    head.loss(z, t, ANY).mean().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert z.grad.sum(0).abs().max() < 1e-9  # of a convex loss
    return head.predict(z.detach()[:1], ANY).item()


def test_gradient_is_that_of_the_formula() -> None:
    """p - 1 in the row's own bin, p in the others."""
    head = made(np.arange(1, 13, dtype=np.float32), n_bins=4)
    z = torch.tensor([[0.3, -1.0, 2.0, 0.0]]).repeat(3, 1).requires_grad_()
    head.loss(z, torch.tensor([3.0, 3.5, 99.0]), ANY).sum().backward()  # type: ignore[no-untyped-call]
    p = torch.softmax(z.detach(), dim=1)
    assert z.grad is not None
    own = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(z.grad, p - own)
    torch.testing.assert_close(head.target(torch.tensor([3.0, 3.5, 99.0])), own)


def test_starts_at_the_training_mean() -> None:
    t = np.repeat(np.array([0, 2, 60], np.float32), [5000, 3000, 2000])
    head = made(t, n_bins=10)
    assert head.n_logits == 3
    assert head.predict(torch.zeros(1, 3), ANY).item() == pytest.approx(t.mean(), rel=1e-3)


def test_the_best_fit_reads_the_mean() -> None:
    t = drawn()
    assert best(made(t, cap_s=600.0), t) == pytest.approx(np.minimum(t, 600).mean(), rel=1e-5)


def test_medians_read_low() -> None:
    t = drawn()
    assert 0.9 < best(made(t, centre="median", n_bins=10), t) / t.mean() < 0.99


def test_the_mean_of_those_whose_bins_look_alike() -> None:
    """Rows that differ in how often they are in a bin, not in where inside it: each group reads its own mean."""
    random, steps = np.random.default_rng(0), np.array([1, 5, 20, 80], np.float32)
    rare = random.choice(steps, 5000, p=[0.1, 0.2, 0.3, 0.4])
    short = random.choice(steps, 5000, p=[0.7, 0.1, 0.1, 0.1])
    head = made(np.concatenate([rare, short]), n_bins=20)
    for t in (rare, short):
        assert best(head, t) == pytest.approx(t.mean(), rel=1e-5)


def test_exponential_bins_read_each_length_where_the_last_of_ten_even_ones_does_not() -> None:
    """Of videos as long as 8, 20 and 60 s."""
    groups = [drawn(4000, length_s=length_s, seed=length_s) for length_s in (8, 20, 60)]
    every = np.concatenate(groups)

    def off(**parameters: Any) -> float:
        return max(abs(best(made(every, **parameters), t) / t.mean() - 1) for t in groups)

    assert off(bins="exponential", growth=10.0) < 0.01
    assert off(n_bins=10) > 0.02


@given(st.lists(st.integers(0, 6), min_size=8, max_size=60), st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_discrete_labels_are_read_exactly(learned: list[int], seen: list[int]) -> None:
    """Bins of one value each: any mixture of those values is read as its mean."""
    values = np.array([0, 1, 3, 4, 9, 30, 200], np.float32)
    t = values[[*range(7), *learned]]
    head = made(t, bins=(0.5, 2.0, 3.5, 6.0, 20.0, 100.0))
    assert best(head, values[seen]) == pytest.approx(values[seen].mean(), rel=1e-5, abs=1e-4)


def test_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="20 rows for 50 bins"):
        made(np.arange(20, dtype=np.float32))
