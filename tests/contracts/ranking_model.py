"""What every RankingModel does: equivariant to order, able to overfit 64 rows, state round-trips, finite."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Make = Callable[[tuple[int, int], tuple[int, int], int], nn.Module]
FIELDS, NUMBERS, HEADS, DIM = (3, 2), (2, 4), 2, 8


def inputs(n_requests: int, n_rows: int, seed: int = 0) -> list[Tensor]:
    torch.manual_seed(seed)
    return [
        torch.randn(n_requests, FIELDS[0], DIM),
        torch.rand(n_requests, NUMBERS[0]),
        torch.randn(n_rows, FIELDS[1], DIM),
        torch.rand(n_rows, NUMBERS[1]),
        torch.arange(n_rows) % n_requests,
    ]


def made(make: Make) -> nn.Module:
    torch.manual_seed(1)
    return make(FIELDS, NUMBERS, HEADS)


def check_shape_and_order(make: Make) -> None:
    model = made(make).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    x = inputs(4, 10)
    out = model(*x)
    assert out.shape == (10, HEADS)
    assert torch.isfinite(out).all()
    shuffle = torch.randperm(10)
    mixed = model(*x[:2], *(column[shuffle] for column in x[2:]))
    torch.testing.assert_close(mixed, out[shuffle])


def check_overfits(make: Make) -> None:
    model = made(make).eval()  # without dropout
    x = inputs(64, 64)
    labels = (torch.rand(64, HEADS) < 0.5).float()
    best = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        loss = nn.functional.binary_cross_entropy_with_logits(model(*x), labels)
        best.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
    assert loss.item() < 0.02


def check_round_trip(make: Make) -> None:
    first, second = made(make), made(make)
    with torch.no_grad():
        for p in first.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    second.load_state_dict(first.state_dict())
    x = inputs(3, 5)
    torch.testing.assert_close(first.eval()(*x), second.eval()(*x), rtol=0, atol=0)
