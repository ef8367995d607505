"""A world that turns: what the regression learns online, and what new trees add."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feedmill.cli.bench.ranking.tables import turning_days
from feedmill.core.errors import DataError
from feedmill.metrics.classification import normalized_entropy
from feedmill.train.trees.boosted import TreesConfig
from feedmill.train.trees.daily import daily, refit
from feedmill.train.trees.gbdt_lr import GbdtLrConfig, TableRows
from feedmill.train.trees.online_lr import OnlineLrConfig

CONFIG = GbdtLrConfig(trees=TreesConfig(n_trees=20, n_leaves=8, n_threads=1), lr=OnlineLrConfig(alpha=0.05))
WINDOW = 2


@pytest.fixture(scope="module")
def days() -> list[TableRows]:
    return [TableRows(x, y) for x, y in turning_days(9, 1_500, seed=0, turn=0.15)]


def entropies(days: list[TableRows], **how: Any) -> list[float]:
    said = daily(CONFIG, days, window=WINDOW, **how)
    return [normalized_entropy(day.labels[:, 0], probs[:, 0]) for day, probs in zip(days[WINDOW:], said, strict=True)]


def test_the_regression_follows_and_new_trees_help(days: list[TableRows]) -> None:
    stale = entropies(days, refit_every=0, is_online=False)
    online = entropies(days, refit_every=0)
    fresh = entropies(days, refit_every=1)
    assert stale[-1] > stale[0] + 0.2, "the world has turned away from what was learnt"
    assert np.mean(online[2:]) < np.mean(stale[2:]) - 0.15
    assert np.mean(fresh[2:]) < np.mean(online[2:]) - 0.02
    assert fresh[0] == online[0], "the first day is predicted by the same model"


def test_trees_grow_as_often_as_asked(days: list[TableRows], monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[int] = []
    from feedmill.train.trees import daily as module

    def counted(config: GbdtLrConfig, past: list[TableRows], *more: Any) -> Any:
        grown.append(len(past))
        return refit(config, past, *more)

    monkeypatch.setattr(module, "refit", counted)
    assert len(list(daily(CONFIG, days, window=2, refit_every=3))) == 7
    assert grown == [2, 2, 2], "after days 2, 5 and 8"


def test_too_few_days_say_nothing(days: list[TableRows]) -> None:
    assert list(daily(CONFIG, days[:2], window=2, refit_every=1)) == []
    with pytest.raises(DataError, match="window of 0"):
        list(daily(CONFIG, days, window=0, refit_every=1))
