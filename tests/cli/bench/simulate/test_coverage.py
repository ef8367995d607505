"""Experiments whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feedmill.cli.bench.simulate import coverage
from feedmill.cli.bench.simulate.arms import Design, Morning, alone, morning, split, truth, units
from feedmill.cli.bench.simulate.coverage import (
    CHANGES,
    VARIETY,
    Found,
    Planted,
    coverage_rows,
    holds,
    same_as_alone,
    told,
    width,
)
from feedmill.experiments.analysis.compare import effect
from feedmill.sim import figures

DESIGN = Design(120, 120, 2, 2)


@pytest.fixture(scope="module")
def at() -> Morning:
    return morning(DESIGN, 1)


def test_with_frozen_models_people_are_as_they_are_alone(at: Morning) -> None:
    pair = alone(at, "frozen"), alone(at, "frozen", CHANGES[VARIETY])
    assert pair[0].digest() != pair[1].digest()
    diary, arm = split(at, "frozen", CHANGES[VARIETY], 0)
    assert set(arm.tolist()) == {0, 1}
    assert same_as_alone(diary, arm, pair) == 1
    assert same_as_alone(diary, 1 - arm, pair) < 0.5


def test_an_experiment_leaves_the_morning_as_it_was(at: Morning) -> None:
    before = at.feed.learner.n_views, at.world.day, at.world.memory.n_views.sum()
    first = split(at, "shared", CHANGES[VARIETY], 0)[0]
    assert first.digest() == split(at, "shared", CHANGES[VARIETY], 0)[0].digest()
    assert before == (at.feed.learner.n_views, at.world.day, at.world.memory.n_views.sum())


def test_arms_that_learn_together_are_not_arms_that_learn_apart(at: Morning) -> None:
    digests = {split(at, how, CHANGES[VARIETY], 0)[0].digest() for how in ("frozen", "own", "shared")}
    assert len(digests) == 3


def test_units_are_people_who_came_with_their_days_before(at: Morning) -> None:
    diary, arm = split(at, "frozen", CHANGES[VARIETY], 3)
    of, by_view = units(at, diary, arm), units(at, diary, arm, is_ratio=True)
    came = np.unique(diary.people.user)
    assert of.num.sum() == pytest.approx(diary.people.seconds.sum())
    assert of.den.tolist() == [1.0] * len(came)
    assert by_view.den.sum() == diary.people.views.sum()
    before = figures.per_person(at.before, "seconds")
    there = came[came < len(before)]
    np.testing.assert_array_equal(of.num_before[: len(there)], before[there])
    assert by_view.den_before.sum() == figures.per_person(at.before, "views")[there].sum()


def test_the_truth_of_no_change_is_nothing(at: Morning) -> None:
    control = alone(at, "frozen")
    assert truth(control, alone(at, "frozen", {})) == 0
    assert truth(control, control, is_ratio=True) == 0


def test_rows_by_hand(at: Morning) -> None:
    diary, arm = split(at, "frozen", CHANGES[VARIETY], 0)
    x = effect(units(at, diary, arm), "treated", "control", cuped=False)
    assert x.relative is not None
    inside, outside = Found(0, x, x, x.relative, 0), Found(1, x, x, x.relative + 2 * width(x), 0)
    assert holds(x, inside.truth)
    assert not holds(x, outside.truth)
    rows = {row.metric: row for row in told("w", [inside, inside, outside])}
    assert rows["truth in the interval, plain"].value == pytest.approx(2 / 3)
    assert rows["estimate less truth, CUPED"].value == pytest.approx(
        -width(x)
    )  # 0 in one world, -2 widths in the other
    assert rows["narrower by CUPED"].value == 0
    assert rows["moved by the other arm"].value == pytest.approx(x.relative)
    assert not math.isnan(rows["width, plain"].value)


def test_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "QUICK", Design(80, 80, 1, 2))
    rows = coverage_rows(True, [Planted(VARIETY, "frozen", 9), Planted(VARIETY, "shared", 9)])
    found = {(row.what, row.metric): row.value for row in rows}
    frozen, shared = (f"coverage: {VARIETY}, {how}" for how in ("frozen models", "one learner for both"))
    assert found["coverage", "worlds"] == 2
    assert found[frozen, "people who watch as alone"] == 1
    assert found[shared, "people who watch as alone"] < 1
    assert found[f"{frozen}, seconds per view", "moved by the other arm"] == pytest.approx(0, abs=1e-12)
    assert found[f"{shared}, seconds per view", "moved by the other arm"] != 0
    assert 0 <= found[f"{frozen}, seconds per person", "truth in the interval, CUPED"] <= 1
    assert found[frozen, "correlation of the arms"] > 0.5
