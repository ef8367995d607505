"""Each rule finds what it is for, says what was found, and leaves the rest alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.check import DAY_MS, EARLIEST_MS, KINDS, MAX_ID, UNKNOWN, check, check_batch, kind_codes, rule

NOW_MS = 1_700_000_000_000
GOOD: dict[str, Any] = {"time_ms": NOW_MS, "kind": "click", "user_id": "u", "item_id": "i", "value": 1.0}


def reason(**changes: Any) -> str:
    """Why a row, good but for the changes, is refused; "" if it is not."""
    found = check({name: [value] for name, value in (GOOD | changes).items()}, NOW_MS)
    assert found.good.tolist() == [not found.reasons]
    return found.reasons.get(0, "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"user_id": ""}, "user_id is missing"),
        ({"user_id": None}, "user_id is missing"),
        ({"item_id": ""}, "item_id is missing"),
        ({"kind": "clik"}, "unknown kind: 'clik'"),
        ({"kind": None}, "kind is missing"),
        ({"kind": ""}, "kind is missing"),
        ({"kind": 11}, "unknown kind: 11"),
        ({"time_ms": None}, "time is missing"),
        ({"kind": "watch", "value": None}, "watch without seconds: its value is missing"),
        ({"kind": "like", "value": None}, "value is missing"),
        ({"time_ms": np.nan}, "time is not a time: nan"),
        ({"time_ms": 1_700_000_000}, "time is before 1971 (is it in seconds?): 1700000000 ms"),
        ({"time_ms": -1}, "time is before 1971 (is it in seconds?): -1 ms"),
        ({"time_ms": NOW_MS + DAY_MS + 1}, f"time is in the future: {NOW_MS + DAY_MS + 1} ms, and it is {NOW_MS}"),
        ({"time_ms": np.inf}, f"time is in the future: inf ms, and it is {NOW_MS}"),
        ({"kind": "watch", "value": -0.5}, "watched seconds are negative: -0.5"),
        ({"kind": "watch", "value": np.nan}, "value is not a number: nan"),
        ({"kind": "like", "value": np.inf}, "value is too large: inf"),
        ({"value": 1e39}, "value is too large: 1e+39"),  # more than float32 holds
        ({"item_id": "x" * (MAX_ID + 1)}, f"item_id is longer than {MAX_ID} characters: 'xxx"),
        ({"event_id": "x" * (MAX_ID + 1)}, f"event_id is longer than {MAX_ID} characters: 'xxx"),
        ({"position": 40_000}, "position is not a slot: 40000"),
        ({"position": -2}, "position is not a slot: -2"),
        ({"position": np.nan}, "position is not a slot: nan"),
        ({"kind": "item", "payload": "[]"}, "payload is not a JSON object: '[]'"),
        ({"kind": "user", "payload": '{"a":'}, "payload is not a JSON object: '{\"a\":'"),
        ({"kind": "item"}, "payload is not a JSON object: None"),
    ],
)
def test_a_bad_row_says_why(changes: dict[str, Any], expected: str) -> None:
    assert reason(**changes).startswith(expected)
    assert rule(expected) in rule(reason(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": "Click"},
        {"kind": int(Kind.FINISH)},
        {"user_id": "ü" * MAX_ID},
        {"time_ms": EARLIEST_MS},
        {"time_ms": NOW_MS + DAY_MS},
        {"kind": "watch", "value": 0.0},
        {"kind": "like", "value": -3.0},
        {"kind": "search", "item_id": ""},
        {"kind": "user", "item_id": "", "payload": "{}"},
        {"kind": "item", "user_id": "", "payload": '{"deleted":true}'},
        {"position": 32_767},
        {"position": -1},
    ],
)
def test_a_good_row_is_left_alone(changes: dict[str, Any]) -> None:
    assert reason(**changes) == ""


def test_the_service_is_stricter_about_the_future() -> None:
    row = {name: [value] for name, value in (GOOD | {"time_ms": NOW_MS + 600_000}).items()}
    assert check(row, NOW_MS).reasons == {}
    assert list(check(row, NOW_MS, ahead_ms=300_000).reasons) == [0]


def test_reasons_show_what_was_there_before_it_became_a_number() -> None:
    row = {name: [value] for name, value in (GOOD | {"time_ms": np.nan}).items()}
    assert check(row, NOW_MS, found={"time_ms": ["tomorrow"]}).reasons == {0: "time is not a time: 'tomorrow'"}


def test_kinds_by_name_and_number() -> None:
    assert kind_codes(["click", "LIKE", "nothing", None]).tolist() == [1, 2, UNKNOWN, UNKNOWN]
    assert kind_codes(np.array([0, 9, 11, -1, 21])).tolist() == [0, 9, UNKNOWN, UNKNOWN, 21]
    assert kind_codes(pa.array(["watch"]).dictionary_encode()).tolist() == [7]
    assert kind_codes([None, None]).tolist() == [UNKNOWN, UNKNOWN]
    assert set(KINDS.values()) == {int(k) for k in Kind if k < Kind.EXPERIMENT}


def test_nothing_is_fine() -> None:
    assert check({}, NOW_MS).good.tolist() == []
    assert check_batch(EventBatch.empty(), NOW_MS).reasons == {}


@given(st.lists(st.sampled_from([GOOD, GOOD | {"user_id": ""}, GOOD | {"time_ms": 5}, GOOD | {"kind": "x"}])))
def test_rows_are_judged_one_by_one(rows: list[dict[str, Any]]) -> None:
    found = check({name: [row[name] for row in rows] for name in GOOD}, NOW_MS)
    assert found.good.tolist() == [row == GOOD for row in rows]
    assert sorted(found.reasons) == [i for i, row in enumerate(rows) if row != GOOD]
