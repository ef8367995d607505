"""``feedmill bench experiments``: its parts on small worlds whose truth is known, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.cli.bench.experiments import PARTS, assignment, life, page, simulated
from feedmill.cli.bench.experiments.audience import audience
from feedmill.cli.bench.measure import of_parts
from feedmill.cli.bench.page import figures
from feedmill.core.errors import DataError
from feedmill.core.events import Kind
from feedmill.experiments.analysis.aa import Splits
from feedmill.log.memory import MemoryLog
from feedmill.log.whole import read_all
from feedmill.metrics.rows import BenchRow


def by_metric(rows: list[BenchRow]) -> dict[tuple[str, str], BenchRow]:
    return {(row.what, row.metric): row for row in rows}


def test_users_are_like_those_of_a_feed() -> None:
    people = audience(5000, 0, days=14)
    assert 2000 < len(people.first) < 5000  # not all came
    assert np.array_equal(people.first, (people.shown > 0).argmax(axis=1))
    seconds = people.seconds.sum(axis=1)
    assert 0.01 < (seconds == 0).mean() < 0.3
    assert np.mean((seconds - seconds.mean()) ** 3) / seconds.std() ** 3 > 2  # a heavy tail
    assert 0.15 < (people.shown_before == 0).mean() < 0.5
    assert np.corrcoef(seconds, people.seconds_before)[0, 1] > 0.5
    arm = np.ones(len(people.first))
    plain, lifted = people.units(13, arm), people.units(13, arm, 0.1)
    np.testing.assert_allclose(lifted.num, 1.1 * plain.num)
    assert len(people.units(0, arm)) == (people.first == 0).sum()
    assert people.units(13, arm, is_ratio=True).den.sum() == people.shown.sum()


def test_a_plan_of_ten_layers_assigns_from_all_of_them() -> None:
    plan = assignment.busy(3)
    arms = plan.assign("somebody").arms
    assert sum(name.startswith("test") for name in arms) in (0, 3)  # 0: in the holdout
    assert len(plan.experiments) == 6


def test_buckets_are_uniform_and_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "N_USERS", 500_000)
    monkeypatch.setattr(assignment, "N_SALTS", 6)
    rows = by_metric(assignment.uniform_rows(quick=True))
    assert len(rows) == 6
    assert all(row.value > 0.001 for (_, metric), row in rows.items() if metric != "smallest p")


def test_simulations_say_what_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "N_USERS", 1000)
    monkeypatch.setattr(simulated, "N_POPULATIONS", 5)
    same = simulated.same_rows(quick=True)
    assert len(same) == 6
    halves = [row for row in same if "10 %" not in row.what]
    assert all(row.low is not None and row.low <= 0.05 <= (row.high or 0) for row in halves)
    flagged = by_metric(simulated.ratio_rows(quick=True))
    assert flagged["sample ratio: as it should be", "flagged"].value < 0.01
    assert (
        flagged["sample ratio: 10% of an arm lost", "flagged"].value
        > flagged["sample ratio: 2% of an arm lost", "flagged"].value
    )


def test_peeking_errs_with_fixed_intervals_and_not_with_sequential() -> None:
    z, share = simulated.looks(audience(2000, 1, days=28), Splits(400, 0.5, 0), is_ratio=False)
    assert z.shape == (400, len(share))
    assert (np.diff(share) >= 0).all()
    fixed = (abs(z) > 1.96).any(axis=1).mean()
    always = (abs(z) > simulated.sequential.bound(share)).any(axis=1).mean()
    assert fixed > 0.1
    assert always < 0.05


def test_a_life_has_days_and_arms() -> None:
    log = MemoryLog()
    lived = life.launched_life(log, seed=0, holdout=0.1)
    events = read_all(log)
    assert lived.n_days == 21
    assert (np.diff(events.numpy("time_ms")) >= -60_000).all()
    assert (events.numpy("kind") == int(Kind.EXPERIMENT)).sum() == 3
    payloads = set(events.numpy("payload"))
    assert any('"longer":"reverse"' in p and '"holdout":"out"' in p for p in payloads)
    assert any('{"holdout":"in"}' in p for p in payloads)
    assert lived.plan.refused == ()


@pytest.mark.slow
def test_a_planted_effect_is_found_at_the_stated_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "LIFT", 0.1)
    rows = by_metric(simulated.power_rows(quick=True))
    for what in ("mean", "mean, CUPED", "ratio, CUPED"):
        found = rows[f"+10 %: {what}", "found"]
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.82
        assert found.high >= 0.78
    assert rows["+10 %: mean, CUPED", "users for 80 %"].value < 0.7 * rows["+10 %: mean", "users for 80 %"].value


@pytest.mark.slow
def test_roll_outs_keep_their_effect() -> None:
    rows = by_metric(life.reverse_rows(quick=True))
    assert rows["roll-out of +20%", "truth in the reverse bucket's interval"].value >= 0.6


def test_the_page_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "experiments.md"
    file.write_text("<!-- figures: setup -->\n<!-- end -->\n<!-- figures: table CUPED -->\n<!-- end -->\n")
    rows = [BenchRow(what="CUPED: mean", metric="variance cut", value=0.5, low=0.4, high=0.6, unit="of 5")]
    page.write(file, figures(rows))
    assert "| CUPED: mean | variance cut | 0.5000 [0.4000, 0.6000] | of 5 |" in file.read_text()
    page.write(file, [])
    assert "No figures." in file.read_text()


def test_parts_are_asked_for_by_name(run: Run) -> None:
    with pytest.raises(DataError, match="--only asignment"):
        of_parts(PARTS, quick=True, only=["asignment"])
    assert set(PARTS) == {"assignment", "buckets", "aa", "peeking", "power", "ratio", "cuped", "reverse"}
    out = run("bench", "experiments", "--quick", "--only", "cuped")
    assert out.exit_code == 0, out.output
    assert "variance cut" in out.output
