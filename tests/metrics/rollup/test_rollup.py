"""The tables equal a plain loop over the log, however it was cut into ranges."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.errors import ConfigError, WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.metrics.rollup.columns import COLUMNS, KEYS, SCHEMAS
from feedmill.metrics.rollup.rollup import Rollup
from metrics.rollup.brute import DAY_MS, START_MS, log_of, logs, tables

ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Chatham")


def read(rollup: Rollup) -> dict[str, dict[tuple[Any, ...], Any]]:
    """The tables in the form of ``brute.tables``."""
    out: dict[str, dict[tuple[Any, ...], Any]] = {}
    for name in ("days", "tried", "shown"):
        rows = rollup.read(name).rows_by_key(KEYS[name], named=True, unique=True)
        out[name] = {k: {c: n for c, n in v.items() if n and c not in KEYS[name]} for k, v in rows.items()}
    rows = rollup.read("exposed").iter_rows()
    out["exposed"] = {tuple(row[:4]): tuple(row[4:]) for row in rows}
    return out


def content(rollup: Rollup) -> list[pl.DataFrame]:
    return [rollup.read(name).sort(pl.all()) for name in SCHEMAS]


@settings(max_examples=25, deadline=None)
@given(logs(), st.sampled_from(ZONES), st.integers(2, 30))
def test_every_column_equals_a_plain_loop_in_steps_of_any_length(
    events: list[dict[str, Any]], timezone: str, step: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rollup = Rollup(Path(folder), timezone)
        assert rollup.update(log_of(events), step=step) == len(events)
        assert rollup.end == len(events)
        assert read(rollup) == tables(events, timezone)


@settings(max_examples=12, deadline=None)
@given(logs(), st.lists(st.integers(1, 30), max_size=4), st.integers(1, 30))
def test_updates_at_any_moments_equal_one_update(events: list[dict[str, Any]], stops: list[int], step: int) -> None:
    log = MemoryLog()
    with tempfile.TemporaryDirectory() as folder:
        rollup, at = Rollup(Path(folder) / "a"), 0
        for stop in [*sorted(stops), len(events)]:
            log.append(EventBatch.rows(events[at:stop]))
            at = max(at, min(stop, len(events)))
            rollup.update(log, step=step)
            assert rollup.end == log.end
        once = Rollup(Path(folder) / "b")
        once.update(log)
        for mine, whole in zip(content(rollup), content(once), strict=True):
            assert mine.equals(whole)


def clicks(times: Sequence[int], user: str = "u1") -> list[dict[str, Any]]:
    return [{"time_ms": t, "kind": Kind.CLICK, "user_id": user, "item_id": "i1"} for t in times]


def shown(user: str, request: str, n: int, at: int = START_MS, **arms: str) -> list[dict[str, Any]]:
    payload = json.dumps({"version": "v", "offset": 0, "experiments": arms})
    of = {"time_ms": at, "kind": Kind.IMPRESSION, "user_id": user, "request_id": request, "payload": payload}
    return [{**of, "item_id": f"i{k}"} for k in range(n)]


@pytest.mark.parametrize(
    ("timezone", "local", "day"),
    [
        ("America/New_York", "2024-03-10T00:00:00", date(2024, 3, 10)),  # 23 hours long
        ("America/New_York", "2024-03-10T23:59:59", date(2024, 3, 10)),
        ("America/New_York", "2024-11-03T23:59:59", date(2024, 11, 3)),  # 25 hours long
        ("Asia/Kolkata", "2024-06-01T00:00:00", date(2024, 6, 1)),
        ("Asia/Kolkata", "2024-05-31T23:59:59", date(2024, 5, 31)),
        ("Pacific/Chatham", "2024-06-01T00:00:00", date(2024, 6, 1)),  # 12 h 45 min ahead
    ],
)
def test_days_end_at_the_midnights_of_the_time_zone(tmp_path: Path, timezone: str, local: str, day: date) -> None:
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(timezone))
    rollup = Rollup(tmp_path, timezone)
    rollup.update(log_of(clicks([int(moment.timestamp() * 1000)])))
    assert rollup.read("days")["day"].to_list() == [day]


def test_an_event_counts_for_an_experiment_from_the_first_exposure_on_in_log_order(tmp_path: Path) -> None:
    before, after = clicks([START_MS]), clicks([START_MS, START_MS])
    rollup = Rollup(tmp_path)
    rollup.update(log_of([*before, *shown("u1", "r1", 2, x="a"), *after, *clicks([START_MS], "u2")]))
    tried = rollup.read("tried")
    assert tried.select("experiment", "user_id", "clicks", "impressions").rows() == [("x", "u1", 2, 2)]


def test_a_request_that_grows_between_updates_is_one_request(tmp_path: Path) -> None:
    log, rollup = MemoryLog(), Rollup(tmp_path)
    for piece in (shown("u1", "r1", 2), shown("u1", "r1", 1), shown("u1", "r2", 1)):
        log.append(EventBatch.rows(piece))
        rollup.update(log)
    assert rollup.read("days").select("requests", "impressions").row(0) == (2, 4)


def test_nothing_to_read_is_empty_tables(tmp_path: Path) -> None:
    rollup = Rollup(tmp_path / "none")
    assert (rollup.update(MemoryLog()), rollup.end) == (0, 0)
    assert rollup.read("days").schema == SCHEMAS["days"]
    assert not (tmp_path / "none").exists()


def test_an_update_can_stop_at_an_offset(tmp_path: Path) -> None:
    log, rollup = log_of(clicks(range(START_MS, START_MS + 10))), Rollup(tmp_path)
    assert rollup.update(log, upto=4) == 4
    assert rollup.read("days")["clicks"].sum() == 4
    assert rollup.update(log, upto=3) == 0
    assert rollup.update(log) == 6


def test_attributes_are_those_of_before_the_event(tmp_path: Path) -> None:
    def item(**keys: Any) -> dict[str, Any]:
        return {"time_ms": START_MS, "kind": Kind.ITEM, "item_id": "i1", "payload": json.dumps(keys)}

    watch = {"time_ms": START_MS, "kind": Kind.WATCH, "user_id": "u1", "item_id": "i1", "value": 3.5}
    rollup = Rollup(tmp_path)
    rollup.update(log_of([watch, item(duration_s=5, author_id="u7"), watch, item(duration_s=15), item(), watch]))
    of_user = rollup.read("days").filter(pl.col("user_id") == "u1").row(0, named=True)
    assert {c: n for c, n in of_user.items() if c in COLUMNS and n} == {
        "watches": 3, "watch_ms": 10_500, "plays_8": 1, "plays_0": 1, "plays_1": 1,
    }  # fmt: skip
    assert rollup.read("items").select("duration_s", "author_id", "is_first").rows() == [
        (5.0, "u7", True), (15.0, "u7", False),
    ]  # fmt: skip


@pytest.mark.parametrize("payload", ["", "[1]", "{bad", '{"author_id": true, "topics": "x", "duration_s": "9"}'])
def test_what_cannot_be_read_of_an_item_or_an_exposure_is_left_out(tmp_path: Path, payload: str) -> None:
    item = {"time_ms": START_MS, "kind": Kind.ITEM, "item_id": "i1", "payload": payload}
    seen = {"time_ms": START_MS, "kind": Kind.IMPRESSION, "user_id": "u1", "item_id": "i1"}
    broken = [
        {**seen, "payload": text} for text in ('{"experiments": 3}', '{"experiments": {"x": 1}}', '"experiments"')
    ]
    rollup = Rollup(tmp_path)
    rollup.update(log_of([item, *broken]))
    assert rollup.read("items").select("author_id", "topic", "duration_s").rows() == [(None, None, None)]
    assert rollup.read("exposed").is_empty()
    assert rollup.read("days")["impressions"].to_list() == [3]


def test_seconds_that_are_no_seconds_count_as_none(tmp_path: Path) -> None:
    watch = {"time_ms": START_MS, "kind": Kind.WATCH, "user_id": "u1", "item_id": "i1"}
    rollup = Rollup(tmp_path)
    rollup.update(log_of([{**watch, "value": v} for v in (float("nan"), float("inf"), -3.0, 2.0)]))
    assert rollup.read("days").select("watches", "watch_ms").row(0) == (4, 2000)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "", "../etc", "Europe"])
def test_an_unknown_time_zone_is_refused(tmp_path: Path, timezone: str) -> None:
    with pytest.raises(ConfigError, match="timezone"):
        Rollup(tmp_path, timezone)


def test_time_zones_have_tables_of_their_own(tmp_path: Path) -> None:
    log = log_of(clicks([START_MS, START_MS + DAY_MS // 2]))
    for zone in ZONES:
        Rollup(tmp_path, zone).update(log)
    assert len(list(tmp_path.iterdir())) == len(ZONES)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WorkspaceError, match="file"):
        Rollup(tmp_path / "file").update(log_of(clicks([START_MS])))
