from __future__ import annotations

import math

import pytest
import torch

from feedmill.models.losses import contrastive


def test_it_equals_the_formula() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    total = 0.0
    for i in range(5):
        e = [math.exp((first[i] @ second[j] / first[i].norm() / second[j].norm()).item() / 0.3) for j in range(5)]
        total -= math.log(e[i] / sum(e)) / 5
    assert contrastive(first, second, 0.3).item() == pytest.approx(total, rel=1e-9)


def test_only_the_first_view_looks_for_its_partner() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(4, 3), torch.randn(4, 3)
    assert contrastive(first, second).item() != pytest.approx(contrastive(second, first).item())


def test_the_length_of_a_vector_does_not_matter() -> None:
    torch.manual_seed(2)
    first, second = torch.randn(4, 3), torch.randn(4, 3)
    torch.testing.assert_close(contrastive(first, second), contrastive(7 * first, second / 3))


def test_what_cannot_be_told_apart_costs_log_m() -> None:
    zero = torch.zeros(8, 3, requires_grad=True)
    value = contrastive(zero, torch.zeros(8, 3))
    value.backward()
    assert value.item() == pytest.approx(math.log(8))
    assert zero.grad is not None
    assert torch.isfinite(zero.grad).all()


def test_descent_draws_views_of_one_item_together() -> None:
    torch.manual_seed(3)
    first, second = (torch.randn(6, 4).requires_grad_() for _ in range(2))
    step = torch.optim.Adam([first, second], lr=0.1)
    for _ in range(100):
        loss = contrastive(first, second, 0.2)
        step.zero_grad()
        loss.backward()
        step.step()
    nearest = (torch.nn.functional.normalize(first, dim=1) @ torch.nn.functional.normalize(second, dim=1).t()).argmax(1)
    assert nearest.tolist() == list(range(6))
