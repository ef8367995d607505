"""Against torch's own optimizers, step by step."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from feedmill.train.row_adam import RowAdam


def test_rows_move_as_with_torch_and_others_stay() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Embedding(9, 3, sparse=True), nn.Embedding(9, 3, sparse=True)
    theirs.load_state_dict(ours.state_dict())
    before = ours.weight.detach().clone()
    mine, reference = RowAdam(ours.parameters(), 0.01), torch.optim.SparseAdam(theirs.parameters(), lr=0.01)
    random = np.random.default_rng(0)
    for _ in range(20):
        ids = torch.from_numpy(random.integers(0, 7, 6))  # rows come more than once
        for table in (ours, theirs):
            (table(ids) * torch.arange(18.0).view(6, 3)).square().sum().backward()
        mine.step()
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight, atol=1e-6, rtol=1e-4)
    assert torch.equal(ours.weight[7:], before[7:])


def test_a_table_without_a_gradient_stays() -> None:
    table = nn.Embedding(3, 2, sparse=True)
    before = table.weight.detach().clone()
    RowAdam(table.parameters(), 0.1).step()
    assert torch.equal(table.weight, before)
