from __future__ import annotations

import torch

from feedmill.models.text.bag import BagConfig, BagEncoder
from feedmill.models.text.dssm import DSSM
from feedmill.models.text.output import output_layer


def test_no_bias_at_first() -> None:
    layer = output_layer(4, 3)
    assert not layer.bias.any()
    assert layer.weight.any()


def test_before_training_texts_are_alike_by_what_they_share() -> None:
    torch.manual_seed(0)
    words, config = 0.05 * torch.randn(4, 1, 512), BagConfig(embedding_dim=512, output_dim=512)
    model = DSSM(BagEncoder, config, n_fields=1)
    both = (words[0] + words[1])[None] / 2
    query = model.query(torch.cat([words, both]), torch.ones(5))
    item = model.item(both, torch.ones(1), torch.randn(1, 1, 512))
    assert (query[:2] @ item.t() > 0.5).all()
    assert (query[2:4] @ item.t()).abs().max() < 0.3
    assert (query[4] @ item.t()).item() > 0.999
