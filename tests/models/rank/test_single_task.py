"""Kinds that share nothing between heads, or have nothing to share."""

import torch

from models.rank.pairs import made, pairs


def test_networks_of_their_own_do_not_feel_each_other() -> None:
    model, x = made("dnn", hidden_dims=(5, 4)), pairs()
    model(*x)[:, 0].sum().backward()
    nets, towers = model.body.nets, model.towers
    for gradient in (nets.weights[0].grad, nets.biases[0].grad, towers.hidden.grad, towers.out.grad):
        assert gradient[0].abs().sum() > 0
        assert (gradient[1] == 0).all()
    assert (model.from_item.grad[:, :5] != 0).any()
    assert (model.from_item.grad[:, 5:] == 0).all()
    assert (model.from_user.grad[:, 5:] == 0).all()


def test_lr_is_a_weight_for_every_id_and_number() -> None:
    """An id adds w_f · its vector to the logit, whatever else there is."""
    model, x = made("lr"), pairs()
    user, user_numeric, item, item_numeric, of = x
    for head in range(2):
        of_user = [model.from_user[4 * f : 4 * f + 4, head] for f in range(3)]
        of_item = [model.from_item[4 * f : 4 * f + 4, head] for f in range(2)]
        for row in range(7):
            logit = model.from_item[-1, head]
            logit = logit + sum(w @ user[of[row], f] for f, w in enumerate(of_user))
            logit = logit + sum(w @ item[row, f] for f, w in enumerate(of_item))
            logit = logit + user_numeric[of[row]] @ model.from_user[12:, head]
            logit = logit + item_numeric[row] @ model.from_item[8:12, head]
            torch.testing.assert_close(model(*x)[row, head], logit)


def test_a_shared_bottom_and_youtube_are_one_stack() -> None:
    for kind in ("shared_bottom", "youtube"):
        model, x = made(kind, hidden_dims=(6, 5)), pairs()
        first = model.item_first(x[2])
        out = model.body(first)
        torch.testing.assert_close(out[0], out[1], rtol=0, atol=0)
        bottom = model.body.bottom
        expected = torch.relu(torch.relu(first) @ bottom.weights[0][0] + bottom.biases[0][0])
        torch.testing.assert_close(out[0], expected)
