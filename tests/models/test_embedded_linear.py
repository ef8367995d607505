"""The same sums, and the same gradients, as pooling first and multiplying then."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from feedmill.models.embedded_linear import embedded_linear
from feedmill.models.embeddings import FusedEmbedding

STARTS = [0, 1, 4, 5]  # an id, a bag of three, and an id of the same table as the bag


@pytest.mark.parametrize("n_threads", [1, 2])
def test_it_is_pooling_and_a_product(n_threads: int) -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    embedding = FusedEmbedding(12, 4)
    ids = torch.from_numpy(random.integers(0, 12, (9, 5)).astype(np.int32))
    ids[0, 1:4] = 0
    numbers, weight = torch.rand(9, 2), torch.randn(3 * 4 + 2, 7, requires_grad=True)
    factor = torch.randn(9, 7)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        gradients = []
        for sums in (
            embedded_linear(embedding, ids, STARTS, numbers, weight),
            torch.cat([embedding((ids, STARTS))[0].flatten(1), numbers], dim=1) @ weight,
        ):
            (sums * factor).sum().backward()
            assert embedding.table.weight.grad is not None
            assert weight.grad is not None
            gradients.append((sums.detach(), weight.grad.clone(), embedding.table.weight.grad.to_dense()))
            weight.grad = embedding.table.weight.grad = None
    finally:
        torch.set_num_threads(before)
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


def test_ids_are_numbered_again_for_every_field() -> None:
    embedding = FusedEmbedding(5, 2)
    ids = torch.tensor([[3, 3], [1, 3], [0, 0]], dtype=torch.int32)
    sums = embedded_linear(embedding, ids, [0, 1, 2], torch.zeros(3, 0), torch.eye(4))
    table = embedding.table.weight.detach()
    expected = torch.stack([torch.cat([table[3], table[3]]), torch.cat([table[1], table[3]]), torch.zeros(4)])
    torch.testing.assert_close(sums, expected)
    assert (embedding.place_of == -1).all()
