from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.models.heads.fraction import FractionConfig, FractionHead
from feedmill.models.heads.wce import WCEConfig, WCEHead
from watch_times import best_constant, drawn, segmm, unknown

T = drawn()
NONE = torch.full((1,), torch.nan)


def made(seconds: np.ndarray = T, **block: Any) -> FractionHead:
    return FractionHead(convert(block, FractionConfig), seconds, unknown(len(seconds)))


def test_loss_is_the_cross_entropy_of_the_fraction_and_its_gradient_p_minus_y() -> None:
    head = made()
    t = torch.tensor([0.0, 1.0, 3.0, 3000.0])
    y = t / (1 + t)
    logits = torch.tensor([[-1.0], [0.0], [0.5], [3.0]], requires_grad=True)
    loss = head.loss(logits, t, NONE)
    loss.sum().backward()
    p = torch.sigmoid(logits[:, 0] + head.start).detach()
    torch.testing.assert_close(loss.detach(), -(y * p.log() + (1 - y) * (1 - p).log()))
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[:, 0], p - y)


def test_reads_the_odds_of_the_mean_fraction() -> None:
    y = (T / (1 + T)).astype(np.float64).mean()
    assert best_constant(made(), T) == pytest.approx(y / (1 - y), rel=1e-4)
    assert y / (1 - y) < 0.5 * T.mean()


def test_one_watch_time_is_served_as_it_is() -> None:
    """Where t does not vary given x, nothing bends: the notes' promise."""
    assert best_constant(made(), np.full(10, 42, np.float32)) == pytest.approx(42, rel=1e-6)


def test_weighted_by_one_more_than_the_seconds_it_is_scheme_3() -> None:
    head, scheme_3 = made(weighted=True), WCEHead(WCEConfig(scheme=3), T, unknown(len(T)))
    logits = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    t = torch.from_numpy(T[:100])
    torch.testing.assert_close(head.loss(logits, t, NONE), scheme_3.loss(logits, t, NONE))
    torch.testing.assert_close(head.predict(logits, NONE), scheme_3.predict(logits, NONE))
    assert best_constant(head, T) == pytest.approx(T.mean(), rel=1e-5)


def test_on_real_watch_times_it_reads_a_quarter(shared_data: Path) -> None:
    t, _ = segmm(shared_data)
    assert best_constant(made(t), t) / t.mean() == pytest.approx(0.28, abs=0.005)


def test_one_label_is_refused() -> None:
    with pytest.raises(DataError, match="7 s"):
        made(np.full(5, 7, np.float32))
