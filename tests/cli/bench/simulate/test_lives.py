"""Whole lives, in order."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.cli.bench.simulate import newcomers, order
from feedmill.cli.bench.simulate.lives import Size, lived
from feedmill.metrics.rows import BenchRow
from feedmill.sim.stages import STAGES, Regret

TINY = Size(40, 60, 3, 1)


def by_metric(rows: list[BenchRow]) -> dict[tuple[str, str], BenchRow]:
    return {(row.what, row.metric): row for row in rows}


def test_only_settled_days_are_compared_with_the_oracle() -> None:
    one = lived("popular", TINY, 1)
    assert set(one.now.day.tolist()) == {2}
    assert one.losses is None
    assert one.diary.views is None
    people = one.diary.people
    late = people.seconds[people.day == 2].sum() / 60 / len(np.unique(people.user))
    assert one.minutes(TINY.first) == pytest.approx(late)
    assert one.diary.digest() == lived("popular", TINY, 1).diary.digest()


def test_policies_are_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "QUICK", TINY)
    rows = by_metric(order.order_rows(True, ("oracle", "chance", "popular")))
    assert rows["order: oracle", "of the oracle's"].value == pytest.approx(1)
    assert rows["order: oracle", "at the same moment"].value == pytest.approx(1)
    chance, popular = (rows[f"order: {name}", "at the same moment"] for name in ("chance", "popular"))
    assert 0 < chance.value < popular.value < 1
    assert chance.low is not None
    assert ("order: popular", "more than chance") in rows
    assert 0 <= rows["order: popular", "worlds above chance"].value <= 2


def test_losses_of_stages_by_hand() -> None:
    left = np.array([[10, 8, 8, 6, 4, 5], [10, 10, 9, 9, 6, 6]], np.float32)
    alone = {"topic": np.array([5, 5], np.float32)}
    rows = by_metric(
        order.stage_rows([Regret(left, alone, {"topic": np.array([8.0, 8.0], np.float32)}, np.zeros(2, np.int32))])
    )
    assert rows["stages", "requests"].value == 2
    shares = [rows[f"stages: {name}", "left"].value for name in STAGES]
    assert shares == pytest.approx([1, 0.9, 0.85, 0.75, 0.5, 0.55])
    lost = [rows[f"stages: {name}", "lost"].value for name in STAGES[1:]]
    assert sum(lost) == pytest.approx(0.45)
    assert lost[-1] == pytest.approx(-0.05), "re-ranking gained"
    assert rows["stages: channel topic", "alone"].value == pytest.approx(0.5)
    assert rows["stages: channel topic", "without"].value == pytest.approx(0.8)
    assert order.stage_rows([]) == []


def test_every_source_is_taken_away_and_stands_alone() -> None:
    ways = newcomers.ways()
    assert len(ways) == 2 + 2 * len(newcomers.SOURCES) + len(newcomers.OTHERS)
    assert "explore_slots=0" in ways["no exploration quota"]
    assert "discount=0.1" in ways["no exploration quota"]
    assert "explore_slots=1" in ways["exploration quota alone"]
    assert "use_content=false" in ways["exploration quota alone"]


def test_new_videos_get_more_by_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "QUICK", Size(100, 400, 4, 2))
    known = newcomers.ways()
    chosen = {name: known[name] for name in (newcomers.ALL, newcomers.NONE)}
    chosen["quota"] = "fast:explore_slots=3,explore_below=8,learner.use_content=false,learner.use_age=false"
    monkeypatch.setattr(newcomers, "ways", lambda: chosen)
    rows = by_metric(newcomers.video_rows(True))
    assert rows["videos: quota", "views"].value > 1.2 * rows["videos: none of them", "views"].value
    cost = rows["videos: quota", "watch time to none of them"]
    assert cost.low is not None
    assert cost.low <= cost.value <= (cost.high or 0)
    assert ("videos: none of them", "watch time to none of them") not in rows
