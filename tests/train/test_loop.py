"""The training loop: what a step does, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from feedmill.train.config import Fitting
from feedmill.train.loop import run


class Walk(nn.Module):
    """One number that every step pushes the same way, so that Adam moves it by the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1))
        self.seen: list[float] = []

    def loss(self, requests: np.ndarray) -> Tensor:
        self.seen.append(self.at.item())
        return self.at.sum()


@pytest.mark.parametrize("anneal", [False, True])
def test_an_annealed_rate_falls_to_nothing_in_a_straight_line(anneal: bool) -> None:
    model = Walk()
    run("walking", model, [], 10, model.loss, Fitting(epochs=2, batch_size=1, learning_rate=0.1, anneal=anneal), 0)
    steps = -np.diff([*model.seen, model.at.item()])
    expected = 0.1 * (1 - np.arange(20) / 20) if anneal else np.full(20, 0.1)
    np.testing.assert_allclose(steps, expected, rtol=1e-4)
