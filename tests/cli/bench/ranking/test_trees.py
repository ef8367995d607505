"""The tables of the trees' bench, and that the comparison is the one it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench.ranking import trees as module
from feedmill.cli.bench.ranking.tables import N_BINS, TreeTask, tree_tasks, turning_days
from feedmill.cli.bench.ranking.trees import Setting, _Run, _task_rows, drift_rows
from feedmill.core.errors import DataError


def small(n: int = 1_200) -> TreeTask:
    """A number, a code, and a label that both of them tell together."""
    random = np.random.default_rng(0)
    x = np.stack([random.random(n), random.integers(0, 4, n)], axis=1).astype(np.float32)
    chance = np.where((x[:, 0] > 0.5) == (x[:, 1] % 2 == 0), 0.8, 0.1)
    labels = (random.random(n) < chance).astype(np.float32)
    parts = np.split(np.arange(n), [n * 8 // 10, n * 9 // 10])
    return TreeTask("small", x, 1, labels, *parts, "a split")


def test_one_hot_has_a_place_for_every_bin_and_code() -> None:
    active, n = small().one_hot()
    assert n == 1 + N_BINS + 4
    assert (active[:, 0] == 0).all()
    assert (active[:, 1] >= 1).all()
    assert (active[:, 1] <= N_BINS).all()
    assert set(active[:, 2]) == set(range(1 + N_BINS, n))
    in_train = np.bincount(active[small().train, 1], minlength=n)[1 : 1 + N_BINS]
    assert in_train.min() > 0.8 * in_train.max(), "bins hold equally many rows"


def test_rows_compare_with_the_better_rival(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees alone learn from all rows, the regression from rows its trees did not see; LR alone sees no cross."""
    monkeypatch.setattr(module, "STEPS", (0.6,))
    monkeypatch.setattr(module, "TREE_RATES", (0.3,))
    seen: list[int] = []
    grow = _Run.grow
    monkeypatch.setattr(_Run, "grow", lambda self, rows, *more: (seen.append(len(rows)), grow(self, rows, *more))[1])
    rows = {r.what: r for r in _task_rows(small(), (5, 20), (0.25,), 1)}
    assert set(seen) == {960, 720}
    ours, trees, lr = (rows[f"small: {w}"] for w in ("GBDT + LR, 20 trees", "trees alone, 20 trees", "LR alone"))
    assert lr.value > 0.95 > max(ours.value, trees.value)
    assert ours.peer == "trees alone, 20 trees"
    assert ours.ratio == pytest.approx(ours.value / trees.value)
    assert "rate 0.3, share 0.25, alpha 0.03" in ours.unit
    assert trees.ratio is None


def test_settings_are_chosen_on_validation_alone() -> None:
    """Labels of the test rows change nothing but the test."""
    task = small()
    other = TreeTask(
        task.name, task.x, 1, np.where(np.arange(1_200) >= 1_080, 1 - task.labels, task.labels),
        task.train, task.validation, task.test, task.split,
    )  # fmt: skip
    one, two = (_Run(t, (5,), (0.5,)).choose() for t in (task, other))
    assert one == two
    assert one.hybrid[5].n_trees == 5
    assert str(Setting(3, 0.1, alpha=0.2)) == "rate 0.1, alpha 0.2"


def test_data_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise DataError("Adult could not be fetched: no network")

    monkeypatch.setattr("feedmill.datasets.adult.adult", none)
    monkeypatch.setattr(module, "drift_rows", lambda quick: [])
    rows = module.gbdt_rows(True, tmp_path)
    assert [r.what for r in rows] == ["adult", "census"]
    assert all(math.isnan(r.value) and r.unit.startswith("not measured: ") for r in rows)


@pytest.mark.slow
def test_the_tables(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise DataError("left out here")

    monkeypatch.setattr("feedmill.datasets.adult.adult", none)
    tasks = [t for t in tree_tasks(shared_data, 500) if isinstance(t, TreeTask)]
    assert [t.name for t in tasks] == ["Census, income", "Census, never_married"]
    for t in tasks:
        assert len(t.train) == 500
        assert not set(t.train) & set(t.validation) | set(t.validation) & set(t.test)
        assert t.x.shape[1] == 39
        assert t.categorical == list(range(7, 39))


def test_the_world_turns() -> None:
    first, last = turning_days(9, 4_000, 0, turn=math.pi / 16)[::8]
    for (x, y), told, untold in ((first, 0, 1), (last, 1, 0)):
        above = [abs(y[x[:, j] > 0.5].mean() - y[x[:, j] <= 0.5].mean()) for j in range(5)]
        assert above[told] > 0.3 > 0.1 > above[untold]


@pytest.mark.slow
def test_learning_online_and_growing_daily_pay_where_it_turns() -> None:
    values = [r.value for r in drift_rows(quick=True)]
    assert values == sorted(values, reverse=True)
