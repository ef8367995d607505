"""A metric of an experiment by user, counted by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.errors import DataError, NotFoundError
from feedmill.core.events import Kind
from feedmill.metrics.rollup.measures import PER_USER
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import Tried, Units, exposures, units
from metrics.rollup.brute import DAY_MS, log_of

MIDNIGHT = 1_700_006_400_000  # 2023-11-15 00:00 UTC
DAY_0 = date(2023, 11, 15)


def act(user: str, day: float, kind: Kind = Kind.CLICK, item: str = "i1", value: float = 1.0) -> dict[str, Any]:
    time_ms = MIDNIGHT + int(day * DAY_MS)
    return {"time_ms": time_ms, "kind": kind, "user_id": user, "item_id": item, "value": value}


def seen(user: str, day: float, item: str = "i1", **arms: str) -> dict[str, Any]:
    payload = json.dumps({"version": "v", "offset": 0, "experiments": arms})
    return {**act(user, day, Kind.IMPRESSION, item), "request_id": f"{user}{day}", "payload": payload}


def item(name: str, **keys: Any) -> dict[str, Any]:
    return {"time_ms": MIDNIGHT - 30 * DAY_MS, "kind": Kind.ITEM, "item_id": name, "payload": json.dumps(keys)}


def rollup_of(folder: Path, events: Sequence[dict[str, Any]]) -> Rollup:
    rollup = Rollup(folder)
    rollup.update(log_of(events))
    return rollup


def by_user(rollup: Rollup, of: Units, experiment: str = "x") -> dict[str, tuple[str, float, float, float, float]]:
    users = exposures(rollup, experiment)["user_id"]
    columns = (of.num, of.den, of.num_before, of.den_before)
    return {u: (of.arms[of.arm[k]], *(float(c[k]) for c in columns)) for k, u in enumerate(users)}


def test_rates_count_from_the_first_exposure_and_before_the_experiment(tmp_path: Path) -> None:
    rollup = rollup_of(
        tmp_path,
        [
            act("u1", -1),  # before: a click
            act("u1", -20),  # too long before
            seen("u2", 0, x="b"),
            act("u1", 0.1),  # on the first day, u1 not yet exposed
            seen("u1", 0.2, x="a"),
            act("u1", 0.3),
            act("u2", 1.5),
            act("u3", 1.5),  # never exposed
        ],
    )
    found = by_user(rollup, units(rollup, "x", "clicks_per_user"))
    assert found == {"u2": ("b", 1, 1, 0, 0), "u1": ("a", 1, 1, 1, 1)}
    assert by_user(rollup, units(rollup, "x", "clicks_per_user", before_days=20))["u1"] == ("a", 1, 1, 2, 1)
    assert by_user(rollup, units(rollup, "x", "clicks_per_user", until=DAY_0))["u2"] == ("b", 0, 1, 0, 0)


def test_users_exposed_after_the_last_day_are_left_out(tmp_path: Path) -> None:
    rollup = rollup_of(tmp_path, [seen("u1", 0, x="a"), act("u1", 0), seen("u2", 1, x="b"), act("u2", 1)])
    assert len(units(rollup, "x", "click_rate", until=DAY_0)) == 1
    assert len(units(rollup, "x", "click_rate")) == 2


def test_who_crosses_over_keeps_the_first_arm_and_is_counted(tmp_path: Path) -> None:
    rollup = rollup_of(
        tmp_path, [seen("u1", 0, x="a"), act("u1", 0), seen("u1", 1, x="b"), seen("u2", 1, x="b"), act("u1", 2)]
    )
    found = exposures(rollup, "x").select("user_id", "arm", "n_arms").rows()
    assert found == [("u1", "a", 2), ("u2", "b", 1)]
    assert by_user(rollup, units(rollup, "x", "clicks_per_user"))["u1"][:2] == ("a", 2)


def test_a_stretch_of_an_experiment_has_arms_and_a_day_of_its_own(tmp_path: Path) -> None:
    rollup = rollup_of(
        tmp_path, [seen("u1", 0, x="a"), act("u1", 0), seen("u1", 3, x="new"), seen("u2", 3, x="old"), act("u1", 3)]
    )
    tried = Tried(rollup, "x", arms=("new", "old"), since=date(2023, 11, 18))
    assert tried.arms == ("new", "old")
    assert tried.first == date(2023, 11, 18)
    assert tried.units("clicks_per_user").num.tolist() == [1, 0]


def test_retention_awaits_only_days_that_are_over(tmp_path: Path) -> None:
    rollup = rollup_of(
        tmp_path,
        [
            act("u1", -2), act("u1", -1),
            seen("u1", 0, x="a"), seen("u2", 0, x="b"), seen("u3", 1, x="b"),
            act("u1", 1), act("u3", 2.9), act("u2", 3),
        ],
    )  # fmt: skip
    found = by_user(rollup, units(rollup, "x", "retention_1"))
    assert found == {"u1": ("a", 1, 1, 2, 1), "u2": ("b", 0, 1, 0, 0), "u3": ("b", 1, 1, 0, 0)}
    until = by_user(rollup, units(rollup, "x", "retention_1", until=date(2023, 11, 16)))
    assert until["u3"][1:3] == (0, 0)  # day 2 is not in the period
    with pytest.raises(DataError, match="retention_7.* are not over by 2023-11-18"):
        units(rollup, "x", "retention_7")


def test_finishes_are_held_against_those_expected_of_their_length(tmp_path: Path) -> None:
    short, long = ("s", {"duration_s": 5}), ("l", {"duration_s": 500})
    plays = [("u1", "s", 1), ("u1", "s", 1), ("u2", "l", 1), ("u2", "s", 0), ("u1", "l", 0), ("u2", "l", 0)]
    events = [item(name, **keys) for name, keys in (short, long)]
    events += [seen("u1", 0, x="a"), seen("u2", 0, x="b")]
    for user, what, is_finished in plays:
        events.append(act(user, 0.5, Kind.WATCH, what, 4))
        events += [act(user, 0.5, Kind.FINISH, what)] * is_finished
    rollup = rollup_of(tmp_path, events)
    of = units(rollup, "x", "finish_adjusted")  # short: 2 of 3 finish, long: 1 of 3
    assert of.num.tolist() == [2, 1]
    assert of.den == pytest.approx([2 * 2 / 3 + 1 / 3, 2 / 3 + 2 * 1 / 3])
    assert units(rollup, "x", "finish_rate").den.tolist() == [3, 3]
    assert units(rollup, "x", "watch_per_play").num.tolist() == [12, 12]


def test_publishing_is_of_authors_who_are_users(tmp_path: Path) -> None:
    born = MIDNIGHT + DAY_MS
    made = [item(f"n{k}", author_id="u1", publish_ms=born) for k in range(3)]
    rollup = rollup_of(tmp_path, [seen("u1", 0, x="a"), seen("u2", 0, x="b"), *made])
    assert units(rollup, "x", "publications").num.tolist() == [3, 0]
    assert units(rollup, "x", "publishing").num.tolist() == [1, 0]


def test_new_items_and_what_a_request_holds(tmp_path: Path) -> None:
    items = [
        item("i1", publish_ms=MIDNIGHT - 7 * DAY_MS, topics=["t", "s"], author_id="a"),
        item("i2", publish_ms=MIDNIGHT - 8 * DAY_MS, topics=["t"], author_id="b"),
    ]
    rollup = rollup_of(tmp_path, [*items, seen("u1", 0, "i1", x="a"), seen("u1", 0, "i2", x="a")])
    tried = Tried(rollup, "x")
    assert [tried.units(m).num[0] for m in ("new_share", "topics_per_request", "authors_per_request")] == [1, 1, 2]
    assert [tried.units(m).den[0] for m in ("new_share", "topics_per_request", "authors_per_request")] == [2, 1, 1]


@pytest.mark.parametrize("name", PER_USER)
def test_a_measure_without_data_says_what_is_missing(tmp_path: Path, name: str) -> None:
    search = {"time_ms": MIDNIGHT, "kind": Kind.IMPRESSION, "user_id": "u1", "item_id": "i1"}
    rollup = rollup_of(tmp_path, [{**search, "payload": '{"experiments": {"x": "a"}}'}])
    if name == "active_days":
        assert units(rollup, "x", name).num.tolist() == [1]
        return
    with pytest.raises(DataError, match=f"no data for {name} of 'x' from 2023-11-15 to 2023-11-15: ") as e:
        units(rollup, "x", name)
    if name == "like_rate":
        assert "no CLICK and no LIKE events" in str(e.value) or "no CLICK events and no LIKE events" in str(e.value)


def test_an_experiment_that_nobody_saw_and_measures_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    rollup = rollup_of(tmp_path, [seen("u1", 0, x="a")])
    with pytest.raises(DataError, match="nobody was exposed to 'x' from 2100-01-01 until 2100-01-02"):
        Tried(rollup, "x", until=date(2100, 1, 2), since=date(2100, 1, 1))
    with pytest.raises(DataError, match="nobody was exposed to 'y'"):
        units(rollup, "y", "click_rate")
    with pytest.raises(DataError, match="until 2023-11-14"):
        units(rollup, "x", "click_rate", until=date(2023, 11, 14))
    with pytest.raises(NotFoundError, match="likes_rate"):
        units(rollup, "x", "likes_rate")
    with pytest.raises(DataError, match="dau is not a sum over users"):
        units(rollup, "x", "dau")


def test_arms_are_taken_apart(tmp_path: Path) -> None:
    rollup = rollup_of(tmp_path, [seen("u1", 0, x="a"), act("u1", 0), seen("u2", 0, x="b"), seen("u2", 0, x="b")])
    of = units(rollup, "x", "click_rate")
    assert (of.of("a").num.tolist(), of.of("b").den.tolist()) == ([1], [2])
    assert of.arm.dtype == np.int32
    assert of.num.dtype == np.float64
