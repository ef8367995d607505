"""What an ablation reads off a model's answers."""

import numpy as np
import pytest

from feedmill.cli.bench.ablation import _variants, measured
from feedmill.cli.bench.retrieval.runs import Run
from feedmill.core.events import EventBatch
from feedmill.serve.full_ranking import task
from feedmill.train.config import TowerPlan
from worlds import click


def test_the_rare_half_and_the_popular_tenth_are_told_apart() -> None:
    popular = [click(n, f"u{n}", "hit") for n in range(1, 8)]
    rare = [click(20 + n, "u1", f"r{n}") for n in range(9)]
    of = task("small", EventBatch.rows(popular + rare), (["u2", "u3"], ["r0", "r8"]))
    ranked = np.zeros((2, 50), np.int32)
    ranked[:, 0] = of.state.items.row("hit")
    ranked[0, 1] = of.state.items.row("r0")
    found = measured(ranked, of)
    assert found.recall == 0.5
    assert found.average_precision == 0.25
    assert found.rare_recall == pytest.approx(1.0), "r0 is of the rarer half, r8 is not"
    assert found.popular_share == pytest.approx(0.1), "one place of ten"


def test_every_variant_can_be_trained() -> None:
    from feedmill.models import TOWERS

    for what, block, _ in _variants(quick=False):
        assert Run(kind="vector", chosen="defaults", sections={"train": {"model": block}})
        assert TowerPlan.of("model", block, TOWERS, {}).kind in what
