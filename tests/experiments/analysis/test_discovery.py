"""Benjamini and Hochberg: by hand, and the share of false discoveries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from feedmill.core.clock import rng
from feedmill.experiments.analysis.discovery import q_values


def test_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.5 times 4/1, 4/2, 4/3, 4/4 = 0.02, 0.02, 0.04, 0.5.
    assert q_values([0.03, 0.005, 0.5, 0.01]) == pytest.approx([0.04, 0.02, 0.5, 0.02])
    assert len(q_values([])) == 0


def test_false_discoveries_are_as_many_as_allowed() -> None:
    """30 metrics, 10 of them moved: of what is called different, 5 % at most are not, on average over experiments."""
    draw, shares = rng(0, "fdr"), []
    for _ in range(500):
        z = draw.normal(0, 1, 30) + np.where(np.arange(30) < 10, 3.0, 0.0)
        found = q_values(2 * stats.norm.sf(abs(z))) <= 0.05
        shares.append(found[10:].sum() / max(1, found.sum()))
    assert 0.01 < np.mean(shares) < 0.05
