from __future__ import annotations

from typing import Any

import pytest

from feedmill.core.errors import DataError
from feedmill.core.events import Kind
from feedmill.serve.events import AHEAD_MS, ANY_MS, MAX_EVENTS, MAX_REASONS, to_batch
from feedmill.serve.problems import EventsRefused

NOW_MS = 1_700_000_000_000
CLICK = {"kind": "click", "user_id": "u", "item_id": "i"}


def refused(raw: Any) -> list[dict[str, Any]]:
    with pytest.raises(EventsRefused) as caught:
        to_batch(raw, NOW_MS)
    return caught.value.events


def test_one_event_is_a_list_of_one() -> None:
    for raw in (CLICK, [CLICK]):
        (row,) = to_batch(raw, NOW_MS).table.to_pylist()
        assert row == {
            "time_ms": NOW_MS, "kind": int(Kind.CLICK), "user_id": "u", "item_id": "i", "value": 1.0, "request_id": "",
            "position": -1, "event_id": "", "payload": "",
        }  # fmt: skip


def test_every_field_arrives() -> None:
    full = {
        "time_ms": NOW_MS - 1, "kind": "watch", "user_id": "u", "item_id": "i", "value": 2.5, "request_id": "r",
        "position": 3, "event_id": "e", "payload": "p",
    }  # fmt: skip
    (row,) = to_batch(full, NOW_MS).table.to_pylist()
    assert row == full | {"kind": int(Kind.WATCH)}


def test_ids_may_be_numbers_and_attributes_objects() -> None:
    raw = {"kind": "item", "item_id": 42, "payload": {"title": "T", "topics": ["a"]}}
    (row,) = to_batch(raw, NOW_MS).table.to_pylist()
    assert row["item_id"] == "42"
    assert row["payload"] == '{"title":"T","topics":["a"]}'


def test_nothing_is_no_event() -> None:
    assert len(to_batch([], NOW_MS)) == 0


def test_a_time_a_little_ahead_is_a_clock_that_differs() -> None:
    assert len(to_batch(CLICK | {"time_ms": NOW_MS + AHEAD_MS}, NOW_MS)) == 1


@pytest.mark.parametrize(
    ("change", "given", "expected"),
    [
        ({"time_ms": NOW_MS + AHEAD_MS + 1}, "time is in the future", "5 minutes"),
        ({"time_ms": 1_700_000_000}, "before 1971", "milliseconds"),
        ({"time_ms": 2**63}, "time_ms", ""),
        ({"time_ms": "now"}, 'time_ms = "now"', "int"),
        ({"kind": "watch", "value": -1}, "watched seconds are negative: -1", "0 or more"),
        ({"value": 1e300}, "value is too large", "3e38"),
        ({"kind": "watch"}, "a watch without value", "seconds"),
        ({"value": "much"}, 'value = "much"', "float"),
        ({"user_id": ""}, "user_id is missing", "a user_id"),
        ({"item_id": ""}, "item_id is missing", "an item_id"),
        ({"user_id": "x" * 257}, "user_id is longer than 256", "256 characters"),
        ({"user_id": None}, "user_id = null", "int | str"),
        ({"kind": "clik"}, 'kind = "clik"', "click"),
        ({"kind": 3}, "kind = 3", "str"),
        ({"position": 40_000}, "position = 40000", "32767"),
        ({"position": -2}, "position = -2", "-1"),
        ({"kind": "item", "payload": "[1]"}, "payload is not a JSON object", "object"),
        ({"usr_id": "u"}, 'unknown field "usr_id"', "user_id"),
    ],
)
def test_what_cannot_be_taken_says_what_was_given_and_expected(
    change: dict[str, Any], given: str, expected: str
) -> None:
    (reason,) = refused(CLICK | change)
    assert reason["index"] == 0
    assert given in reason["given"]
    assert expected in reason["expected"]


def test_a_typing_error_names_the_nearest() -> None:
    assert "click" in refused(CLICK | {"kind": "clik"})[0]["fix"]
    assert "user_id" in refused(CLICK | {"usr_id": "u"})[0]["fix"]


def test_one_bad_event_refuses_all_and_every_bad_one_is_listed() -> None:
    bad = CLICK | {"time_ms": NOW_MS * 2}
    assert [r["index"] for r in refused([CLICK, bad, CLICK, bad])] == [1, 3]
    assert [r["index"] for r in refused([CLICK, 5, [], bad])] == [1, 2], "what is not an event is told first"
    assert len(refused([bad] * 500)) == MAX_REASONS


def test_too_many_or_no_list_at_all() -> None:
    with pytest.raises(DataError, match="at most 10000"):
        to_batch([CLICK] * (MAX_EVENTS + 1), NOW_MS)
    for raw in ("click", 7, None):
        with pytest.raises(DataError, match="an event or a list"):
            to_batch(raw, NOW_MS)


def test_where_events_tell_the_time_none_is_ahead() -> None:
    far = CLICK | {"time_ms": NOW_MS + 400 * 86_400_000}
    assert len(to_batch(far, NOW_MS, ANY_MS)) == 1
    with pytest.raises(EventsRefused):
        to_batch(far, NOW_MS)


def test_ten_thousand_mistakes_are_not_all_put_into_words() -> None:
    wrong = {"kind": "click", "user_id": "u", "item_id": "i", "userid": 1}
    with pytest.raises(EventsRefused, match="at least 100 of 10000") as caught:
        to_batch([wrong] * 10_000, 10**12)
    assert [e["index"] for e in caught.value.events] == list(range(100))
