"""What every retrieval model does: late fusion, rows that do not know each other, finite vectors, state round-trips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Make = Callable[[tuple[int, int], tuple[int, int]], Any]
FIELDS, NUMBERS, DIM = (3, 2), (2, 0), 8


def made(make: Make) -> Any:
    torch.manual_seed(1)
    return make(FIELDS, NUMBERS).eval()


def users(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(n, FIELDS[0], DIM), torch.rand(n, NUMBERS[0])


def items(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randn(n, FIELDS[1], DIM), torch.rand(n, NUMBERS[1])


def check_vectors_of_one_width(make: Make) -> None:
    model = made(make)
    user, item = model.user(*users(5)), model.item(*items(7))
    assert user.shape[0] == 5
    assert item.shape[0] == 7
    assert user.shape[1] == item.shape[1]
    assert torch.isfinite(user).all()
    assert torch.isfinite(item).all()


def check_rows_do_not_know_each_other(make: Make) -> None:
    model = made(make)
    for tower, x in ((model.user, users(6)), (model.item, items(6))):
        torch.testing.assert_close(tower(x[0][2:4], x[1][2:4]), tower(*x)[2:4])


def check_nobody_has_a_finite_vector(make: Make) -> None:
    """Row 0 of every table is zero: an unknown user with no history."""
    model = made(make)
    assert torch.isfinite(model.user(torch.zeros(1, FIELDS[0], DIM), torch.zeros(1, NUMBERS[0]))).all()


def check_round_trip(make: Make) -> None:
    first = made(make)
    torch.manual_seed(9)
    second = make(FIELDS, NUMBERS).eval()
    if list(first.parameters()):  # a model may have no weights but its embeddings, which are not its own
        assert not torch.equal(first.user(*users(3)), second.user(*users(3)))
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first.user(*users(3)), second.user(*users(3)), rtol=0, atol=0)
