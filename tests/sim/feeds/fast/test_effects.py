"""Tastes for labels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.sim.feeds.fast.descriptions import N_LABELS
from feedmill.sim.feeds.fast.effects import add_tastes, fit_column, labels_of, learn_tastes

LABELS = np.zeros((3, N_LABELS), np.int32)
LABELS[0, [0, 3]] = 1, 3
LABELS[1, [0, 1]] = 1, 2
ZERO = np.zeros(1, np.int32)


def test_topics_of_a_video_of_two_weigh_less() -> None:
    labels, table, out = labels_of(LABELS), np.array([[0, 10, 20, 5]], np.float32), np.zeros(3, np.float32)
    add_tastes(table, labels, np.zeros(3, np.int32), np.arange(3, dtype=np.int32), 1.0, out)
    np.testing.assert_allclose(out, [15, 30 / np.sqrt(2), 0], rtol=1e-6)


def test_a_column_is_fitted_by_ridge_and_the_residual_follows() -> None:
    """Two views of topic 1 with residuals 3 and 5, ridge 2: 8 / 4 = 2 is what the person makes of it."""
    labels, item = labels_of(LABELS), np.zeros(2, np.int32)
    table, mass, residual = np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32), np.array([3, 5], np.float32)
    fit_column(0, 1, 0, 3, labels, np.zeros(2, np.int32), item, np.ones(2, np.float32), 2.0, table, mass, residual)
    assert table[0].tolist() == [0, 2, 0, 0]
    assert residual.tolist() == [1, 3]
    assert mass[0, 1] == 2


def test_people_of_other_rows_are_left_alone() -> None:
    labels, who = labels_of(LABELS), np.array([0, 1, -1], np.int32)
    table, mass, residual = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32), np.ones(3, np.float32)
    fit_column(1, 2, 0, 3, labels, who, np.zeros(3, np.int32), np.ones(3, np.float32), 1.0, table, mass, residual)
    assert table[:, 1].tolist() == [0, 0.5]
    assert residual.tolist() == [1, 0.5, 1]


def test_a_view_moves_what_is_less_known_more() -> None:
    labels, table, mass = labels_of(LABELS), np.zeros((1, 4), np.float32), np.array([[0, 9, 0, 0]], np.float32)
    left = np.array([2.2], np.float32)
    learn_tastes(table, mass, labels, ZERO, ZERO, 1.0, left)
    # 1 / (9 + 1) for the topic, 1 / (0 + 1) for the language, 1 for the noise: 2.2 / 2.1 of surprise is left
    assert left[0] == pytest.approx(2.2 / 2.1)
    np.testing.assert_allclose(table[0], [0, 0.1 * 2.2 / 2.1, 0, 2.2 / 2.1], rtol=1e-5)
    assert mass[0].tolist() == [0, 10, 0, 1]
