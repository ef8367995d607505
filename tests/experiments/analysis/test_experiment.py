"""Reports from a log: exposures of simulated users through the plan and the rollup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from feedmill.cli.bench.experiments.life import DEFINITION, LIFT, WEEK, Life, launched_life
from feedmill.core.errors import DataError, NotFoundError
from feedmill.experiments import Action
from feedmill.experiments.analysis.compare import effect
from feedmill.experiments.analysis.everyone import Everyone
from feedmill.experiments.analysis.experiment import experiment_report
from feedmill.experiments.analysis.holdout import of_period
from feedmill.experiments.analysis.power import baseline
from feedmill.experiments.analysis.stretch import of_experiment, of_reverse
from feedmill.log.memory import MemoryLog
from feedmill.metrics.rollup.rollup import Rollup

Lived = tuple[Life, Rollup]


def rolled(life: Life, folder: Path) -> Lived:
    rollup = Rollup(folder)
    rollup.update(life.log)
    return life, rollup


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return rolled(launched_life(MemoryLog(), seed=1, holdout=0.2), tmp_path_factory.mktemp("rollup"))


def test_a_planted_effect_is_reported(lived: Lived) -> None:
    life, rollup = lived
    report = experiment_report(life.plan, rollup, "longer")
    row = report.rows[0]
    assert (report.status, report.since, report.n_days) == ("launched", "2025-06-23", WEEK)
    assert (row.metric, row.is_north_star, row.verdict) == ("time_per_user", True, "better")
    assert row.effect.relative_low is not None
    assert row.effect.relative_high is not None
    assert row.effect.relative_low < LIFT < row.effect.relative_high
    assert row.effect.cut > 0.2  # the week before says something
    assert report.verdicts["treated"].startswith("better: seconds watched per user")
    assert [r.verdict for r in report.rows if r.metric in ("plays_per_user", "active_days")] == ["not sure"] * 2
    assert any("no CLICK events" in note for note in report.notes)


def test_users_are_those_of_the_plan_and_the_days_of_the_experiment(lived: Lived) -> None:
    life, rollup = lived
    report = experiment_report(life.plan, rollup, "longer", planned=1000)
    ratio = report.sample_ratio
    assert not ratio.is_flagged
    assert ratio.crossovers == 0
    assert sum(ratio.users.values()) < 0.85 * len(life.users)  # the holdout is in neither arm
    looks = report.series["time_per_user: treated"]
    assert [look.day for look in looks] == [f"2025-06-{d}" for d in range(23, 30)]
    assert looks[-1].effect == report.rows[0].effect
    assert looks[-1].users == ratio.users
    assert report.planned == 1000
    assert report.rows[0].is_final


def test_the_reverse_bucket_recovers_the_effect_after_the_roll_out(lived: Lived) -> None:
    life, rollup = lived
    what = of_reverse(life.plan.experiment("longer"), "UTC")
    assert what is not None
    x = effect(what.tried(rollup).units("time_per_user"), "launched", "reverse")
    assert not x.is_adjusted  # the week before was treated already
    assert x.relative_low is not None
    assert x.relative_high is not None
    assert 0 < x.relative_low < LIFT < x.relative_high


def test_the_holdout_report_has_both_sides(lived: Lived) -> None:
    life, rollup = lived
    (report,), notes = of_period(life.plan, rollup, ["time_per_user", "gini"])
    assert notes == ["gini is not a sum over users: no experiment compares it"]
    (launch,) = report.launches
    assert (launch.name, launch.arm, launch.reverse) == ("longer", "treated", 0.3)
    assert launch.measured is not None
    assert launch.kept is not None
    assert report.promised == pytest.approx(0.7 * (launch.measured.relative or 0))
    assert report.effect.relative_low is not None
    assert report.effect.relative_high is not None
    assert report.effect.relative_low < 0.7 * LIFT < report.effect.relative_high
    assert report.effect.n_control == pytest.approx(0.2 * len(life.users), rel=0.2)


def test_a_holdout_of_another_size_than_planned_is_said(lived: Lived) -> None:
    """The log's users were split at 20 %; a plan that says 30 % is what losing a third of the holdout looks like."""
    life, rollup = lived
    plan = replace(life.plan, holdouts=(structs.replace(life.plan.holdout, share=0.3),))
    _, notes = of_period(plan, rollup, ["time_per_user"])
    assert "in the holdout" in notes[0]
    assert "find out why" in notes[0]


def test_who_is_experimented_on_can_be_planned_with(lived: Lived) -> None:
    _, rollup = lived
    users = Everyone(rollup, days=5, before_days=7)
    assert (str(users.first), str(users.last)) == ("2025-07-01", "2025-07-05")  # the last day may not be over
    time, back = users.units("time_per_user"), users.units("retention_1")
    assert len(users) == len(time) == len(back)
    assert time.den.sum() == len(users)
    assert 0 < back.num.sum() <= back.den.sum() <= len(users)
    assert baseline(time).cut > 0.1
    with pytest.raises(DataError, match="no CLICK events"):
        users.units("click_rate")
    with pytest.raises(DataError, match="not a sum over users"):
        users.units("dau")


def test_nobody_exposed_unknown_names_and_metrics_say_so(tmp_path: Path) -> None:
    life = Life(MemoryLog(), n_users=50)
    life.live(1)
    life.act(Action(action="create", name="longer", definition=DEFINITION))
    life, rollup = rolled(life, tmp_path)
    with pytest.raises(DataError, match="nobody was exposed"):
        experiment_report(life.plan, rollup, "longer")
    with pytest.raises(NotFoundError, match='no experiment "other"'):
        experiment_report(life.plan, rollup, "other")
    with pytest.raises(DataError, match="there is no holdout"):
        of_period(life.plan, rollup, ["time_per_user"])
    with pytest.raises(DataError, match="one day|whole days"):
        Everyone(rollup)
    assert of_reverse(life.plan.experiment("longer"), "UTC") is None


def test_an_empty_log_has_no_users(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no behaviour"):
        Everyone(Rollup(tmp_path))


def test_an_experiment_of_a_day_keeps_its_day(tmp_path: Path) -> None:
    life = Life(MemoryLog(), n_users=300)
    life.act(Action(action="create", name="longer", definition=DEFINITION))
    life.act(Action(action="start", name="longer"))
    life.live(2, LIFT)
    life.act(Action(action="stop", name="longer"))
    life, rollup = rolled(life, tmp_path)
    what = of_experiment(life.plan.experiment("longer"), "UTC")
    assert (str(what.first), str(what.last)) == ("2025-06-16", "2025-06-17")
    report = experiment_report(life.plan, rollup, "longer")
    assert report.n_days == 2
    assert report.notes[0].startswith("2 days so far")
