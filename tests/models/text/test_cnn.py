from __future__ import annotations

import torch

from feedmill.models.text.cnn import CNNConfig, CNNEncoder


def test_302_characters_give_300_positions() -> None:
    encoder = CNNEncoder(CNNConfig(embedding_dim=8))
    x = torch.randn(1, 302, 8)
    assert encoder.maps(x).shape == (1, 300, 300)
    assert encoder(x, torch.tensor([302])).shape == (1, 128)


def test_it_equals_a_convolution_and_the_largest_over_time() -> None:
    encoder = CNNEncoder(CNNConfig(embedding_dim=4, n_filters=6, output_dim=3))
    x = torch.randn(2, 9, 4)
    kernel = encoder.filters.weight.view(6, 3, 4).transpose(1, 2)
    maps = torch.tanh(torch.nn.functional.conv1d(x.transpose(1, 2), kernel, encoder.filters.bias))
    torch.testing.assert_close(encoder.maps(x), maps.transpose(1, 2))
    wanted = torch.tanh(encoder.output(maps.amax(dim=2)))
    torch.testing.assert_close(encoder(x, torch.tensor([9, 9])), wanted)


def test_padding_changes_nothing() -> None:
    encoder = CNNEncoder(CNNConfig(embedding_dim=4))
    x = torch.randn(3, 5, 4)
    length = torch.tensor([5, 4, 1])
    x[1, 4:], x[2, 1:] = 0, 0
    wide = torch.cat([x, torch.zeros(3, 20, 4)], dim=1)
    torch.testing.assert_close(encoder(wide, length), encoder(x, length))
    alone = encoder(x[2:, :3], length[2:])  # filled up to one window
    torch.testing.assert_close(encoder(x, length)[2:], alone)


def test_an_empty_text_has_a_finite_vector() -> None:
    encoder = CNNEncoder(CNNConfig(embedding_dim=4))
    assert torch.isfinite(encoder(torch.zeros(1, 3, 4), torch.tensor([0]))).all()
