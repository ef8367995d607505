from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.models.heads.finish import FinishConfig, FinishHead
from watch_times import segmm


def made(seconds: np.ndarray, duration: np.ndarray, **parameters: Any) -> FinishHead:
    return FinishHead(FinishConfig(**parameters), seconds.astype(np.float32), duration.astype(np.float32))


def drawn(n: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds, durations from 5 s to 200 s, and the chance to finish, which falls from 0.6 to 0.1."""
    random = rng(0, "finish")
    duration = np.exp(random.uniform(np.log(5), np.log(200), n))
    chance = 0.6 - 0.5 * (np.log(duration) - np.log(5)) / np.log(40)
    seconds = duration * np.where(random.random(n) < chance, 1.0, 0.5 * random.random(n))
    return seconds, duration, chance


def test_finished_and_gradient_by_hand() -> None:
    seconds, duration = np.array([5.0, 9.6, 9.5, 40.0, 30.0]), np.array([10.0, 10.0, 10.0, 10.0, np.nan])
    head = made(seconds, duration)
    t, d, y = torch.tensor(seconds).float(), torch.tensor(duration).float(), torch.tensor([0.0, 1, 0, 1, 1])
    torch.testing.assert_close(head.finished(t, d), y)
    z = torch.tensor([[-1.0], [0.5], [3.0], [0.0], [-2.0]], requires_grad=True)
    head.loss(z, t, d).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    torch.testing.assert_close(z.grad[:, 0], (torch.sigmoid(z[:, 0] + head.log_odds) - y).detach())
    assert head.gives == "finish"


def test_the_curve_follows_the_true_chance() -> None:
    seconds, duration, chance = drawn()
    head = made(seconds, duration)
    inside = (duration > 7) & (duration < 150)
    f = head.typical(torch.tensor(duration).float()).numpy()
    assert np.abs(f - chance)[inside].max() < 0.03
    ends = head.typical(torch.tensor([0.1, 1e6])).numpy()
    np.testing.assert_allclose(ends, head.rates.numpy()[[0, -1]], rtol=1e-4)  # level beyond


def test_the_curve_is_continuous() -> None:
    seconds, duration, _ = drawn(500)
    f = made(seconds, duration).typical(torch.logspace(0, 3, 20_000)).numpy()
    assert np.abs(np.diff(f)).max() < 2e-3


def test_an_item_as_good_as_others_of_its_length_is_served_1() -> None:
    seconds, duration, chance = drawn()
    head = made(seconds, duration)
    z, d = (torch.tensor(x).float() for x in (np.log(chance / (1 - chance)), duration))
    served = head.predict((z - head.log_odds)[:, None], d).numpy()
    assert served.mean() == pytest.approx(1, abs=0.02)
    thirds = np.digitize(duration, np.quantile(duration, [1 / 3, 2 / 3]))
    assert all(served[thirds == k].mean() == pytest.approx(1, abs=0.06) for k in range(3))
    plain = made(seconds, duration, fair=False).predict((z - head.log_odds)[:, None], d).numpy()
    np.testing.assert_allclose(plain, chance, rtol=1e-4)


def test_one_length_and_few_rows() -> None:
    head = made(np.array([3.0, 10, 10]), np.full(3, 10.0))
    torch.testing.assert_close(head.typical(torch.tensor([1.0, 10.0, 99.0])), torch.full((3,), 2 / 3))
    close = made(np.array([3.0, 10, 10]), np.array([10, 10.000001, 20]))
    assert torch.isfinite(close.typical(torch.tensor([10.0, 10.000001, 15.0]))).all()


@pytest.mark.data
def test_on_real_views_short_items_are_finished_more_often(shared_data: Path) -> None:
    t, duration = segmm(shared_data)
    head = made(t, duration, share=1.0)
    fifths = np.digitize(duration, [10, 16, 32, 64])
    f = head.typical(torch.from_numpy(duration)).numpy()
    means = [f[fifths == k].mean() for k in range(5)]
    np.testing.assert_allclose(means, [0.55, 0.42, 0.33, 0.24, 0.11], atol=0.02)


def test_rows_of_one_kind_are_refused() -> None:
    duration = np.full(4, 10.0)
    with pytest.raises(DataError, match="none of 4 rows watched for more than 95%"):
        made(np.array([1.0, 2, 3, 4]), duration)
    with pytest.raises(DataError, match="all of 4 rows watched for more than 5%"):
        made(np.array([1.0, 2, 3, 4]), duration, share=0.05)
    with pytest.raises(DataError, match="no duration is known"):
        made(np.array([1.0, 2, 3, 4]), duration * np.nan)
