from __future__ import annotations

import torch

from feedmill.models.text.bag import BagConfig, BagEncoder


def test_two_tanh_layers() -> None:
    encoder = BagEncoder(BagConfig(embedding_dim=3, hidden_dim=4, output_dim=2))
    (first, _, second), x = encoder.layers, torch.randn(5, 1, 3)
    hidden = torch.tanh(x[:, 0] @ first.weight.t() + first.bias)  # type: ignore[operator]
    wanted = torch.tanh(hidden @ second.weight.t() + second.bias)  # type: ignore[operator]
    torch.testing.assert_close(encoder(x, torch.ones(5)), wanted)


def test_one_layer_unless_asked_for_two() -> None:
    encoder = BagEncoder(BagConfig(embedding_dim=3, output_dim=2))
    assert len(encoder.layers) == 1
    assert encoder(torch.zeros(1, 1, 3), torch.zeros(1)).shape == (1, 2)
