from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from feedmill.core.clock import rng
from feedmill.models.losses import HierarchicalSoftmax, HuffmanTree

COUNTS = np.array([3, 50, 7, 0, 20, 20, 1, 9, 4])


def made(scale: float = 1.0, *, sparse: bool = False) -> HierarchicalSoftmax:
    torch.manual_seed(0)
    model = HierarchicalSoftmax(HuffmanTree.of(COUNTS), 4, sparse=sparse).double()
    torch.nn.init.normal_(model.node.weight, std=scale)
    return model


def users(n: int = 6) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(n, 4, dtype=torch.float64, requires_grad=True)


def test_the_probabilities_of_all_leaves_sum_to_one() -> None:
    h = users()
    torch.testing.assert_close(made().log_prob(h).exp().sum(1), torch.ones(6).double())


def test_the_loss_and_its_gradient_equal_the_formula() -> None:
    """d(-log P)/dh = -sum_k (1 - sigmoid(s_k <h, v_k>)) s_k v_k, and the same with h for the nodes."""
    model, h, leaf = made(), users(), torch.tensor([1, 3, 3, 0, 8, 6])
    reward = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0, 0.5]).double()
    value = model(h, leaf, reward)
    value.backward()
    nodes, expected = model.node.weight.detach(), 0.0
    by_h, by_node = torch.zeros(6, 4).double(), torch.zeros_like(nodes)
    for i, y in enumerate(leaf.tolist()):
        for node, sign in zip(model.path[y].tolist(), model.sign[y].tolist(), strict=True):
            if sign == 0:
                continue
            x = sign * (h[i] @ nodes[node]).item()
            r = reward[i].item() / 6
            expected += r * math.log1p(math.exp(-x))
            pull = r * sign / (1 + math.exp(x))
            by_h[i] -= pull * nodes[node]
            by_node[node] -= pull * h[i].detach()
    assert value.item() == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(h.grad, by_h)
    torch.testing.assert_close(model.node.weight.grad, by_node)


def test_the_loss_is_the_exact_probability_of_the_leaf() -> None:
    model, h, leaf = made(), users(), torch.tensor([1, 3, 3, 0, 8, 6])
    exact = -model.log_prob(h)[torch.arange(6), leaf].mean()
    torch.testing.assert_close(model(h, leaf).detach(), exact)


def test_sparse_gradients_name_the_visited_nodes_only() -> None:
    model, h, leaf = made(sparse=True), users(2), torch.tensor([1, 1])
    model(h, leaf).backward()
    gradient = model.node.weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    visited = set(model.path[1][model.sign[1] != 0].tolist())
    touched = gradient.to_dense().abs().sum(1).nonzero().flatten().tolist()
    assert set(touched) == visited


def test_the_linear_item_vectors_differ_by_the_square_at_most() -> None:
    """|log sigmoid(x) - (x/2 - log 2)| <= x²/8, summed along the path."""
    model, h = made(0.2), users().detach()
    vectors, bias = model.item_vectors()
    exact, linear = model.log_prob(h), h @ vectors.t() + bias
    logits = h @ model.node.weight.detach().t()
    bound = (logits[:, model.path] ** 2 * (model.sign != 0)).sum(2) / 8
    assert (linear >= exact - 1e-12).all()
    assert (linear - exact <= bound + 1e-12).all()
    assert torch.equal(linear.argmax(1), exact.argmax(1))


def test_it_learns_the_true_probabilities() -> None:
    random = rng(0, "leaves")
    p = COUNTS / COUNTS.sum()
    model = HierarchicalSoftmax(HuffmanTree.of(COUNTS), 1, sparse=False)
    step = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        leaf = torch.from_numpy(random.choice(len(p), 512, p=p))
        loss = model(torch.ones(512, 1), leaf)
        step.zero_grad()
        loss.backward()
        step.step()
    np.testing.assert_allclose(model.log_prob(torch.ones(1, 1)).exp()[0].numpy(), p, atol=0.02)


def test_one_item_is_certain() -> None:
    model = HierarchicalSoftmax(HuffmanTree.of(np.array([4])), 3)
    h = torch.randn(2, 3, requires_grad=True)
    assert model(h, torch.zeros(2, dtype=torch.int64)).item() == 0.0
    assert model.log_prob(h).tolist() == [[0.0], [0.0]]
    assert model.item_vectors()[0].shape == (1, 3)


def test_its_state_round_trips() -> None:
    first = made()
    second = HierarchicalSoftmax(HuffmanTree.of(COUNTS), 4, sparse=False).double()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.log_prob(users()), second.log_prob(users()))
