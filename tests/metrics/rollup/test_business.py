"""Metrics by day and over windows, counted by hand and by plain loops."""

from __future__ import annotations

import math
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.errors import DataError, NotFoundError
from feedmill.core.events import Kind
from feedmill.metrics.diversity import gini
from feedmill.metrics.rollup import shown
from feedmill.metrics.rollup.business import Business, daily
from feedmill.metrics.rollup.measures import MEASURES
from feedmill.metrics.rollup.rollup import Rollup
from metrics.rollup.test_units import DAY_0, act, item, rollup_of, seen


def values(rollup: Rollup, name: str) -> list[float | None]:
    return [value for _, value in daily(rollup, name)]


days_of_users = st.dictionaries(
    st.sampled_from(["u1", "u2", "u3"]), st.sets(st.integers(0, 70), min_size=1, max_size=12), min_size=1
)


@settings(max_examples=25, deadline=None)
@given(days_of_users)
def test_active_users_and_retention_equal_a_loop(active: dict[str, set[int]]) -> None:
    events = [act(u, d + 0.5) for u, days in active.items() for d in sorted(days)]
    with tempfile.TemporaryDirectory() as folder:
        business = Business(rollup_of(Path(folder), events))
    first, last = min(map(min, active.values())), max(map(max, active.values()))
    days = range(first, last + 1)
    found = {m: business.daily(m)["value"].to_list() for m in ("dau", "mau", "retention_1", "retention_30")}
    assert found["dau"] == [sum(d in x for x in active.values()) for d in days]
    assert found["mau"] == [sum(any(d - 30 < y <= d for y in x) for x in active.values()) for d in days]
    for k in (1, 30):
        of = [[d + k in x for x in active.values() if d in x and d + k <= max(first, last - 1)] for d in days]
        assert found[f"retention_{k}"] == [sum(x) / len(x) if x else None for x in of]


def test_ratios_by_day_and_over_windows(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    for day in range(8):
        events += [seen("u1", day), seen("u2", day, "i2"), *[act("u1", day)] * (day % 2)]
    rollup = rollup_of(tmp_path, [*events, act("u3", 8)])
    assert values(rollup, "click_rate")[:4] == [0, 0.5, 0, 0.5]
    business = Business(rollup)
    assert business.complete == DAY_0 + timedelta(days=7)
    one, seven = business.window("click_rate", 1), business.window("click_rate", 7)
    assert (one.value, one.before) == (0.5, 0)
    assert math.isnan(one.change)
    assert seven.value == 4 / 14
    assert math.isnan(seven.before)  # there are not twice seven days
    two = business.window("clicks_per_user", 2)
    assert (two.value, two.before, two.change) == (0.5, 0.5, 0)
    assert business.window("dau", 2).value == 2
    assert business.window("active_days", 4).value == 4


def test_days_without_anything_have_no_rate_and_kinds_never_logged_have_none_at_all(tmp_path: Path) -> None:
    rollup = rollup_of(tmp_path, [seen("u1", 0), act("u1", 0), seen("u1", 2), act("u1", 2)])
    assert values(rollup, "click_rate") == [1, None, 1]
    assert values(rollup, "dau") == [1, 0, 1]
    assert values(rollup, "like_rate") == [None] * 3
    assert math.isnan(Business(rollup).window("like_rate", 1).value)


def test_one_arm_of_an_experiment_is_a_segment(tmp_path: Path) -> None:
    rollup = rollup_of(
        tmp_path, [act("u1", 0), seen("u1", 0, x="a"), act("u1", 0), seen("u2", 0, x="b"), seen("u1", 1, x="b")]
    )
    assert daily(rollup, "click_rate", ("x", "a")) == [(DAY_0, 1.0), (DAY_0 + timedelta(days=1), 0.0)]
    assert daily(rollup, "dau", ("x", "b")) == [(DAY_0, 1.0)]
    assert daily(rollup, "coverage", ("x", "b")) == [(DAY_0, None)]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_the_gini_index_is_the_mean_difference_over_twice_the_mean(counts: list[int]) -> None:
    x = np.array(counts)
    expected = np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean()) if x.sum() else np.nan
    assert gini(x) == pytest.approx(expected, nan_ok=True)


def test_coverage_is_of_all_items_and_by_arm(tmp_path: Path) -> None:
    items = [item(f"i{k}") for k in range(4)]
    views = [seen("u1", 0, "i1", x="a"), seen("u2", 0, "i1", x="b"), seen("u2", 0, "i2", x="b"), seen("u3", 1, "i3")]
    rollup = rollup_of(tmp_path, [*items, *views])
    assert values(rollup, "coverage") == [0.5, 0.25]
    assert values(rollup, "gini")[1] == pytest.approx(0.75)
    a, b = shown.by_arm(rollup, "x")
    assert (a.arm, a.impressions, a.items, a.coverage) == ("a", 1, 1, 0.25)
    assert (b.arm, b.impressions, b.items, b.coverage) == ("b", 2, 2, 0.5)


def test_every_measure_has_a_value_or_none_for_every_day(tmp_path: Path) -> None:
    kinds = [k for k in Kind if k < Kind.ITEM and k != Kind.IMPRESSION]
    rollup = rollup_of(tmp_path, [item("i1"), *(seen("u1", d) for d in range(9)), *(act("u1", 3, k) for k in kinds)])
    business = Business(rollup)
    for name in MEASURES:
        found = business.daily(name)
        assert found.columns == ["day", "value"]
        assert len(found) == 9
        assert business.window(name, 3).name == name


def test_no_activity_and_unknown_measures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody has done anything"):
        Business(rollup_of(tmp_path / "a", [item("i1", author_id="u1")]))
    with pytest.raises(NotFoundError, match="no measure 'clicks'"):
        daily(rollup_of(tmp_path / "b", [act("u1", 0)]), "clicks")
