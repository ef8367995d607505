from __future__ import annotations

import torch

from feedmill.train.loop import threads
from feedmill.train.rank.products import products


def test_the_products_of_a_step_are_counted_forward_and_backward() -> None:
    x, w = torch.randn(64, 9), torch.randn(9, 16, requires_grad=True)
    several = torch.randn(2, 16, 4, requires_grad=True)
    bias = torch.zeros(16, requires_grad=True)

    def step() -> None:
        hidden = torch.relu(torch.addmm(bias, x, w)).expand(2, 64, 16)
        torch.bmm(hidden, several).sum().backward()

    with threads(1):
        found = products(step, n_rounds=1)
    first = 2 * 9 * 16  # forward and the weights' gradient; x needs none
    second = 3 * 2 * 16 * 4
    assert found.n_multiply_adds == 64 * (first + second)
    assert found.seconds > 0


def test_a_step_without_products_takes_no_time() -> None:
    assert products(lambda: torch.ones(3).sum()) == (0, 0.0)
