"""What every RankingModel does: equivariant to order, overfits 64 rows, state round-trips, its graphs say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from feedmill.features.served.graph import session
from feedmill.models.heads.binary import BinaryHead
from feedmill.train.loop import Inputs
from feedmill.train.rank.ranker_graphs import graphs

Make = Callable[[tuple[int, int], tuple[int, int], tuple[int, ...]], nn.Module]
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
    return make(FIELDS, NUMBERS, (1,) * HEADS)


def drawn(make: Make) -> nn.Module:
    """With weights that are nowhere 0."""
    model = made(make).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    return model


def check_shape_and_order(make: Make) -> None:
    model = drawn(make)
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
    if model.body.is_linear:  # no line parts 64 rows at will
        labels = (x[2].flatten(1) @ torch.randn(FIELDS[1] * DIM, HEADS) > 0).float()
    best = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(400):
        loss = nn.functional.binary_cross_entropy_with_logits(model(*x), labels)
        best.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
        if loss.item() < 0.02:
            return
    raise AssertionError(f"64 rows are still at {loss.item():.3f}")


def check_round_trip(make: Make) -> None:
    first, second = made(make), made(make)
    with torch.no_grad():
        for p in first.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    second.load_state_dict(first.state_dict())
    x = inputs(3, 5)
    torch.testing.assert_close(first.eval()(*x), second.eval()(*x), rtol=0, atol=0)


def check_graphs(make: Make) -> None:
    """ONNX, whole for any number of requests and candidates, and cut in three for the candidates of one request."""
    model, heads = drawn(make), [BinaryHead() for _ in range(HEADS)]
    blobs = graphs(model, heads, Inputs(*inputs(2, 2)))
    names = ("user", "user_numeric", "item", "item_numeric", "request_of")
    for n_requests, n_rows in ((1, 1), (1, 5), (3, 7)):
        x = inputs(n_requests, n_rows)
        given = dict(zip(names, (column.numpy() for column in x), strict=True))
        expected = torch.sigmoid(model(*x)).detach().numpy()
        np.testing.assert_allclose(_run(blobs["dense.onnx"], given), expected, rtol=1e-5, atol=1e-6)
        given["user_first"] = _run(blobs["user_first.onnx"], given)
        given["item_first"] = _run(blobs["item_first.onnx"], given)
        if n_requests == 1:
            np.testing.assert_allclose(_run(blobs["scores.onnx"], given), expected, rtol=1e-5, atol=1e-6)


def _run(blob: bytes, given: dict[str, Any]) -> Any:
    graph = session(blob)
    return graph.run(None, {i.name: given[i.name] for i in graph.get_inputs()})[0]
