"""Mixtures against their formula."""

import torch

from models.rank.pairs import first_sums, made, pairs
from models.rank.test_nets import plain


def test_every_head_mixes_the_experts_by_its_own_gate() -> None:
    model, x = made("mmoe", n_logits=(1, 1, 1), n_experts=4, hidden_dims=(6, 5)), pairs()
    first = first_sums(model, x)
    shares = torch.softmax(first[:, 4 * 6 :].reshape(-1, 3, 4), dim=2)
    expected = torch.einsum("che,ecd->hcd", shares, plain(model.body.experts, first))
    torch.testing.assert_close(model.body(first), expected)
    towers = model.towers
    hidden = torch.relu(torch.einsum("hcd,hdt->hct", expected, towers.hidden) + towers.hidden_bias)
    user, _, item, item_numeric, of = x
    dots = torch.einsum("cfd,cgd->cfg", item, user[of]).flatten(1)
    logits = torch.einsum("hct,hto->ch", hidden, towers.out) + model.wide(torch.cat([dots, item_numeric], dim=1))
    torch.testing.assert_close(model(*x), logits)


def test_one_expert_is_a_shared_bottom() -> None:
    mixture, bottom, x = made("mmoe", n_experts=1), made("shared_bottom"), pairs()
    width = bottom.body.width
    bottom.load_state_dict(
        {
            **{k: v for k, v in mixture.state_dict().items() if k.startswith(("towers", "wide"))},
            **{k.replace("experts", "bottom"): v for k, v in mixture.state_dict().items() if "experts" in k},
            "from_user": mixture.from_user[:, :width],
            "from_item": mixture.from_item[:, :width],
        }
    )
    torch.testing.assert_close(mixture(*x), bottom(*x))


def test_one_gate_for_all_heads() -> None:
    model, x = made("omoe", n_experts=3, hidden_dims=(6,)), pairs()
    first = first_sums(model, x)
    shares = torch.softmax(first[:, 3 * 6 :], dim=1)
    expected = torch.einsum("ce,ecd->cd", shares, plain(model.body.experts, first))
    out = model.body(first)
    torch.testing.assert_close(out[0], expected)
    torch.testing.assert_close(out[1], expected)


def test_two_layer_defaults() -> None:
    """Users know these numbers."""
    config = made("mmoe").Config()
    assert (config.embedding_dim, config.n_experts, config.hidden_dims, config.tower_dim) == (32, 4, (64, 32), 16)
    assert config.dropout == 0.3
