from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.models.heads.tpm import TPMConfig, TPMHead, tree
from watch_times import best_constant, segmm

EXPONENTIAL = (-20 * np.log1p(-(np.arange(4000) + 0.5) / 4000)).astype(np.float32)  # mean 20 s, median 20 ln 2
UNKNOWN = np.full(len(EXPONENTIAL), np.nan, np.float32)
NONE = torch.full((1,), torch.nan)
PURE = TPMConfig(variance_weight=0, error_weight=0)


def test_a_tree_of_four_leaves() -> None:
    left, right = tree(4)
    assert left.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert right.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("n_leaves", [2, 3, 5, 8, 13, 16, 100])
def test_a_tree_is_balanced_and_tells_all_leaves_apart(n_leaves: int) -> None:
    left, right = tree(n_leaves)
    assert left.shape == right.shape == (n_leaves - 1, n_leaves)
    assert not (left * right).any()
    depths = (left + right).sum(axis=0)
    assert depths.max() == np.ceil(np.log2(n_leaves))
    assert depths.max() - depths.min() <= 1
    assert len(np.unique((right - left).T, axis=0)) == n_leaves
    assert (np.diff(np.r_[left.argmax(axis=1)[1:]]) != 0).all()


def test_leaves_are_the_products_along_their_paths() -> None:
    """By hand: four leaves, three nodes."""
    seconds = np.arange(8, dtype=np.float32)
    head = TPMHead(TPMConfig(n_leaves=4), seconds, UNKNOWN[:8])
    assert head.start.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    a, b, c = 1 / (1 + np.exp(-np.array([0.3, -1.0, 2.0])))
    expected = [(1 - a) * (1 - b), (1 - a) * b, a * (1 - c), a * c]
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    assert head.ln_leaves(logits).exp()[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert head.predict(logits, NONE).item() == pytest.approx(np.dot(expected, [0.5, 2.5, 4.5, 6.5]), rel=1e-5)


def test_loss_by_hand() -> None:
    seconds = np.arange(8, dtype=np.float32)
    head = TPMHead(TPMConfig(n_leaves=4, variance_weight=0.5, error_weight=0.25), seconds, UNKNOWN[:8])
    logits, leaf = torch.tensor([[0.3, -1.0, 2.0]]), np.array([0.5, 2.5, 4.5, 6.5])
    p = head.ln_leaves(logits).exp()[0].numpy()
    mean = p @ leaf
    variance = p @ leaf**2 - mean**2
    expected = -np.log(p[2]) + (0.25 * (mean - 5) ** 2 + 0.5 * variance) / seconds.var()
    assert head.loss(logits, torch.tensor([5.0]), NONE).item() == pytest.approx(expected, rel=1e-4)


def test_a_node_off_the_path_learns_nothing() -> None:
    head = TPMHead(
        convert({"n_leaves": 4, "variance_weight": 0, "error_weight": 0}, TPMConfig),
        np.arange(8, dtype=np.float32),
        UNKNOWN[:8],
    )
    logits = torch.zeros(1, 3, requires_grad=True)
    head.loss(logits, torch.tensor([7.0]), NONE).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].tolist() == [-0.5, 0.0, -0.5]


@pytest.mark.parametrize("error_weight", [0.0, 0.2, 5.0])
def test_without_the_variance_term_the_best_constant_is_the_mean(error_weight: float) -> None:
    """Cross-entropy and squared error have the same minimum."""
    head = TPMHead(TPMConfig(variance_weight=0, error_weight=error_weight), EXPONENTIAL, UNKNOWN)
    assert best_constant(head, EXPONENTIAL) == pytest.approx(20, rel=2e-3)


def test_exact_for_few_distinct_labels_in_other_shares_than_learned() -> None:
    head = TPMHead(PURE, np.repeat([0, 3, 9, 30, 31], 20).astype(np.float32), UNKNOWN[:100])
    rows = np.repeat([0, 3, 9, 30, 31], [5, 10, 5, 2, 7]).astype(np.float32)
    assert head.n_logits == 4
    assert best_constant(head, rows) == pytest.approx(rows.mean(), rel=1e-4)


@pytest.mark.parametrize(("weight", "share"), [(0.1, 0.925), (0.5, 0.800), (1.0, 0.732)])
def test_the_variance_term_reads_a_skewed_label_low(weight: float, share: float) -> None:
    head = TPMHead(TPMConfig(variance_weight=weight), EXPONENTIAL, UNKNOWN)
    assert best_constant(head, EXPONENTIAL) / 20 == pytest.approx(share, abs=0.01)


def test_midpoints_read_a_skewed_label_high() -> None:
    config = convert({"centre": "midpoint", "variance_weight": 0, "error_weight": 0}, TPMConfig)
    head = TPMHead(config, EXPONENTIAL, UNKNOWN)
    edges = 20 * -np.log1p(-np.arange(16) / 16)
    expected = (np.append(edges, EXPONENTIAL.max()) + np.insert(edges, 0, 0))[1:].mean() / 2
    assert best_constant(head, EXPONENTIAL) == pytest.approx(expected, rel=2e-3)
    assert expected > 1.1 * 20


def test_logits_of_0_serve_the_mean_of_the_training_rows() -> None:
    head = TPMHead(TPMConfig(n_leaves=13), EXPONENTIAL, UNKNOWN)
    assert head.predict(torch.zeros(1, 12), NONE).item() == pytest.approx(20, rel=2e-3)


def test_one_distinct_label_or_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="5 s"):
        TPMHead(TPMConfig(), np.full(40, 5, np.float32), UNKNOWN[:40])
    with pytest.raises(DataError, match="3 rows for 16 bins"):
        TPMHead(TPMConfig(), EXPONENTIAL[:3], UNKNOWN[:3])


@pytest.mark.parametrize(
    ("block", "share"),
    [
        ({}, 0.871),
        ({"variance_weight": 0}, 1.0),
        ({"variance_weight": 1}, 0.621),
        ({"variance_weight": 0, "centre": "midpoint"}, 1.219),
        ({"variance_weight": 0, "error_weight": 0, "centre": "midpoint"}, 1.518),
    ],
)
def test_on_real_watch_times(shared_data: Path, block: dict[str, Any], share: float) -> None:
    t, duration = segmm(shared_data)
    assert best_constant(TPMHead(convert(block, TPMConfig), t, duration), t) / t.mean() == pytest.approx(
        share, abs=0.004
    )
