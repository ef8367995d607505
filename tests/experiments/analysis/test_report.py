"""Rows, verdicts and sentences: what is said of planted effects, and of metrics that disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.analysis.audiences import habits
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.report import Judging, Metric, Row, decided, judged, looks
from feedmill.metrics.rollup.units import Units

STAR, RATE = Metric("time", "time", is_north_star=True), Metric("rate", "rate")
HOW = Judging(planned=4000)
N = 8000


def rows(star: float = 0.0, rate: float = 0.0, how: Judging = HOW) -> list[Row]:
    units: dict[str, Units | DataError] = {"time": habits(N, 1, star), "rate": habits(N, 2, rate, is_ratio=True)}
    return judged([STAR, RATE], units, "control", how)[0]


def sentence(star: float, rate: float) -> str:
    return decided(rows(star, rate), "treated", ())


def test_planted_effects_are_told_apart() -> None:
    better, worse = rows(0.3, -0.3)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.always.p <= better.q < 0.01
    for row in (better, worse):
        assert row.always.low < row.effect.low < row.effect.high < row.always.high
    assert [row.verdict for row in rows()] == ["not sure", "not sure"]


def test_less_can_be_better_and_neither_decides_nothing() -> None:
    units: dict[str, Units | DataError] = {"time": habits(N, 1, 0.3), "rate": habits(N, 1, 0.3)}
    less, neither = STAR._replace(more_is_better=False), RATE._replace(more_is_better=None)
    assert [row.verdict for row in judged([less, neither], units, "control", HOW)[0]] == ["worse", "different"]


def test_the_north_star_wins() -> None:
    assert sentence(0.3, -0.3) == "better: time; rate worse, but the north star wins"
    assert sentence(-0.3, 0.3) == "worse: time; rate better, but the north star wins"
    assert sentence(0.3, 0.3) == "better: time"
    assert sentence(0, 0.3) == "better: rate; the north star is not told apart"
    assert sentence(0, 0) == "not sure: nothing is told apart from the control"
    assert decided(rows(), "other", ()) == "no metric has data"


def test_metrics_that_are_not_named_do_not_decide() -> None:
    both = rows(0, 0.3)
    assert decided(both, "treated", ("time",)).startswith("not sure")
    assert decided(both, "treated", ("rate",)).startswith("better: rate")


def test_a_stated_size_lets_one_look_decide() -> None:
    before, after = rows(how=Judging(N + 1, is_planned=True))[0], rows(how=Judging(N, is_planned=True))[0]
    assert (before.is_final, after.is_final, rows()[0].is_final) == (False, True, False)


def test_what_has_no_data_becomes_a_sentence() -> None:
    missing = DataError("no data for rate: no CLICK events")
    flat = replace(habits(50, 1), num=np.ones(50))
    found, notes = judged([STAR, RATE], {"time": flat, "rate": missing}, "control", HOW)
    assert found == []
    assert notes == ["time: all users alike", "no CLICK events: no data for rate"]
    only = replace(habits(50, 1), arms=("other", "treated"))
    assert "control" in judged([STAR], {"time": only}, "control", HOW)[1][0]


def test_looks_narrow_and_their_p_never_rises() -> None:
    whole = habits(6000, 3, 0.1)
    columns = (whole.arm, whole.num, whole.den, whole.num_before, whole.den_before)
    days = [(f"day {k}", Units(whole.arms, *(c[: 600 * k] for c in columns))) for k in range(1, 11)]
    seen = looks([("day 0", Units(("control",), *(c[:5] for c in columns))), *days], "treated", "control", 3000)
    assert [look.day for look in seen] == [f"day {k}" for k in range(1, 11)]
    assert sum(seen[-1].users.values()) == 6000
    widths = np.array([[x.effect.high - x.effect.low, x.always.high - x.always.low] for x in seen])
    assert (widths[:, 1] > 1.5 * widths[:, 0]).all()
    assert widths[-1, 1] < widths[0, 1] / 2
    p = [look.p for look in seen]
    assert p == sorted(p, reverse=True)
    assert seen[-1].always.low < 0.1 * whole.of("control").num.mean() < seen[-1].always.high
    assert seen[-1].p == pytest.approx(min(x.always.p for x in seen))
