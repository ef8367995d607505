from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from feedmill.core.errors import DataError
from feedmill.models.heads.completion import CompletionConfig, CompletionHead
from watch_times import best_constant, drawn, segmm

SECONDS, DURATION = np.array([5, 10, 40, 0], np.float32), np.array([10, 10, 10, np.nan], np.float32)


def made(seconds: np.ndarray = SECONDS, duration: np.ndarray = DURATION, replays: float = 1.0) -> CompletionHead:
    return CompletionHead(CompletionConfig(replays=replays, cap_s=600.0), seconds, duration)


def test_gradient_is_that_of_the_formula() -> None:
    """s(z) - y with y of the plays that count; an unknown duration is the typical one."""
    head = made(replays=2.0)
    y = torch.tensor([0.25, 0.5, 1.0, 0.0])
    torch.testing.assert_close(head.share(torch.from_numpy(SECONDS), torch.from_numpy(DURATION)), y)
    z = torch.tensor([[-1.0], [0.5], [3.0], [0.0]], requires_grad=True)
    head.loss(z, torch.from_numpy(SECONDS), torch.from_numpy(DURATION)).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    torch.testing.assert_close(z.grad[:, 0], (torch.sigmoid(z[:, 0] + head.log_odds) - y).detach())


def test_serves_plays_times_the_duration() -> None:
    head = made(replays=3.0)
    z = torch.logit(torch.tensor([[0.5], [0.5], [0.5], [0.9999]])) - head.log_odds
    served = head.predict(z, torch.tensor([10.0, 100.0, torch.nan, 1e6]))
    torch.testing.assert_close(served, torch.tensor([15.0, 150.0, 15.0, 600.0]))


@pytest.mark.parametrize("replays", [1.0, 4.0])
def test_the_best_fit_reads_the_mean_of_what_counts(replays: float) -> None:
    t, duration = drawn(length_s=20.0), np.full(20_000, 20, np.float32)
    expected = np.minimum(t, 20 * replays).mean()
    assert best_constant(made(t, duration, replays), t, duration) == pytest.approx(expected, rel=1e-5)


@pytest.mark.data
@pytest.mark.parametrize(("replays", "kept"), [(1.0, 0.863), (2.0, 0.961), (5.0, 0.993), (10.0, 0.998)])
def test_what_plays_that_count_leave_of_real_views(shared_data: Path, replays: float, kept: float) -> None:
    """A logit for each length: its best fit is the mean share of views as long."""
    t, duration = segmm(shared_data)
    head = made(t, duration, replays)
    length, at = np.unique(duration, return_inverse=True)
    y = head.share(torch.from_numpy(t), torch.from_numpy(duration)).numpy()
    mean = np.clip(np.bincount(at, y) / np.bincount(at), 1e-7, 1 - 1e-7)
    z = torch.logit(torch.from_numpy(mean).float())[:, None] - head.log_odds
    served = head.predict(z, torch.from_numpy(length)).numpy()
    assert served[at].mean() / t.mean() == pytest.approx(kept, abs=0.002)


def test_one_distinct_share_is_refused() -> None:
    with pytest.raises(DataError, match="3 rows that were all watched 100% of what counts"):
        made(np.array([12, 20, 30], np.float32), np.array([10, 20, 25], np.float32))
    with pytest.raises(DataError, match="no duration is known"):
        made(SECONDS, np.full(4, np.nan, np.float32))
