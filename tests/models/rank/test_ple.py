"""Progressive layered extraction against its formula."""

import torch

from models.rank.pairs import first_sums, made, pairs
from models.rank.test_nets import plain


def test_one_level_is_customized_gate_control() -> None:
    """Head h: softmax over its own two experts and the shared one."""
    model, x = made("ple", n_levels=1, n_own=2, n_shared=1, hidden_dims=(5, 4)), pairs()
    first = first_sums(model, x)
    experts = plain(model.body.levels[0].experts, first)
    gate = first[:, 5 * 5 :].reshape(-1, 2, 3)
    for head, read in enumerate([(0, 1, 4), (2, 3, 4)]):
        shares = torch.softmax(gate[:, head], dim=1)
        expected = sum(shares[:, [i]] * experts[e] for i, e in enumerate(read))
        torch.testing.assert_close(model.body(first)[head], expected)


def test_two_levels_by_hand() -> None:
    model, x = made("ple", n_levels=2, n_own=1, n_shared=1, hidden_dims=(4,)), pairs()
    first = first_sums(model, x)
    low = model.body.levels[0]
    experts = plain(low.experts, first)  # head 0, head 1, shared
    own = torch.softmax(first[:, 12:16].reshape(-1, 2, 2), dim=2)
    shared = torch.softmax(first[:, 16:], dim=1)
    below = [
        own[:, 0, :1] * experts[0] + own[:, 0, 1:] * experts[2],
        own[:, 1, :1] * experts[1] + own[:, 1, 1:] * experts[2],
        sum(shared[:, [e]] * experts[e] for e in range(3)),
    ]
    between = model.body.between[0]
    sums = [z @ w + b for z, w, b in zip(below, between.weights, between.biases, strict=True)]
    experts = torch.relu(torch.stack([s[:, :4] for s in sums]))
    out = model.body(first)
    for head in range(2):
        share = torch.softmax(sums[head][:, 4:], dim=1)
        torch.testing.assert_close(out[head], share[:, :1] * experts[head] + share[:, 1:] * experts[2])


def test_a_head_does_not_touch_the_experts_of_another() -> None:
    model, x = made("ple", n_levels=1, n_own=1, n_shared=1, hidden_dims=(4, 3)), pairs()
    model(*x)[:, 0].sum().backward()
    touched = model.body.levels[0].experts.weights[0].grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [True, False, True]
