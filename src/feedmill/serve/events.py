"""POST /v1/events: JSON in, a checked EventBatch out, or every reason why not."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow.compute as pc

from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.events import SCHEMA, EventBatch
from feedmill.datasets.check import KINDS, MAX_ID, check_batch, rule
from feedmill.serve.bodies import EventBody, convert
from feedmill.serve.problems import EventsRefused

MAX_EVENTS = 10_000
MAX_REASONS = 100
MAX_PAYLOAD = 65_536  # bytes of JSON
AHEAD_MS = 5 * 60_000  # how far clocks may differ
ANY_MS = 2**53  # where events tell the time, none is ahead of it
_INT16 = 32_767
_LARGE = "payload is too large"
_EXPECTED = {
    _LARGE: f"at most {MAX_PAYLOAD} bytes of JSON",
    "user_id is missing": "a user_id, for every kind but item",
    "item_id is missing": "an item_id, for every kind but search and user",
    "time is before 1971 (is it in seconds?)": "milliseconds since 1970 UTC",
    "time is in the future": "a time at most 5 minutes ahead of the service's clock; leave it out to take that",
    "value is too large": "a number below 3e38",
    "watched seconds are negative": "seconds, 0 or more",
    "payload is not a JSON object": "the attributes as an object",
}


def to_batch(raw: Any, now_ms: int, ahead_ms: int = AHEAD_MS) -> EventBatch:
    """One event or a list of them, all fit to be appended.

    Args:
        raw: decoded JSON.
        now_ms: the time of events that say none.
        ahead_ms: how far beyond that a time may lie.

    Raises:
        DataError: it is neither, or there are too many.
        EventsRefused: some cannot be taken; each with its index, what was given, and what was expected.
    """
    events = [raw] if isinstance(raw, dict) else raw
    if not isinstance(events, list):
        raise DataError(f"a JSON {type(raw).__name__}", "an event or a list of events", "see /openapi.json")
    if len(events) > MAX_EVENTS:
        raise DataError(f"{len(events)} events", f"at most {MAX_EVENTS} at once", "send them in parts")
    rows, reasons = _rows(events)
    if not reasons:
        batch = _columns(rows, now_ms)
        reasons = _unfit(batch, now_ms, ahead_ms)
    if reasons:
        least = "at least " if len(reasons) >= MAX_REASONS else ""
        raise EventsRefused(
            f"{least}{len(reasons)} of {len(events)} events cannot be taken, so none was",
            "every event of a request to be sound", "mend or leave out those listed under events, and send again",
            reasons[:MAX_REASONS],
        )  # fmt: skip
    return batch


def _rows(events: list[Any]) -> tuple[list[EventBody], list[dict[str, Any]]]:
    """The events, and what is wrong with the first that are none: finding words for all of 10,000 takes seconds."""
    rows: list[EventBody] = []
    reasons: list[dict[str, Any]] = []
    for index, each in enumerate(events):
        try:
            rows.append(_event(each))
        except DataError as error:
            reasons.append({"index": index, "given": error.given, "expected": error.expected, "fix": error.fix})
            if len(reasons) == MAX_REASONS:
                break
    return rows, reasons


def _event(raw: Any) -> EventBody:
    event = convert(raw, EventBody)
    if event.kind not in KINDS:
        raise DataError(f'kind = "{event.kind}"', f"one of {list(KINDS)}", nearest(event.kind, KINDS))
    if not -1 <= event.position <= _INT16:
        raise DataError(f"position = {event.position}", f"-1 to {_INT16}")
    if event.time_ms is not None and not abs(event.time_ms) < 2**62:
        raise DataError(f"time_ms = {event.time_ms}", "milliseconds since 1970 UTC")
    if event.kind == "watch" and event.value is None:
        raise DataError("a watch without value", "value = seconds watched", "send how long it was watched")
    return event


def _columns(events: list[EventBody], now_ms: int) -> EventBatch:
    columns: dict[str, list[Any]] = {name: [getattr(e, name) for e in events] for name in SCHEMA.names}
    columns["kind"] = [KINDS[k] for k in columns["kind"]]
    columns["value"] = [1.0 if v is None else v for v in columns["value"]]
    columns["time_ms"] = [now_ms if t is None else t for t in columns["time_ms"]]
    columns["payload"] = [p if isinstance(p, str) else msgspec.json.encode(p).decode() for p in columns["payload"]]
    return EventBatch.of(columns)


def _unfit(batch: EventBatch, now_ms: int, ahead_ms: int) -> list[dict[str, Any]]:
    reasons = check_batch(batch, now_ms, ahead_ms).reasons
    size = pc.binary_length(batch.table.column("payload")).to_numpy(zero_copy_only=False)
    for row in (size > MAX_PAYLOAD).nonzero()[0].tolist():
        reasons.setdefault(row, f"{_LARGE}: {size[row]} bytes")
    return [
        {"index": row, "given": reason, "expected": _expected(rule(reason))} for row, reason in sorted(reasons.items())
    ]


def _expected(broken: str) -> str:
    return f"at most {MAX_ID} characters" if "is longer than" in broken else _EXPECTED.get(broken, "")
