"""Which rows can be events, and what to tell people about the others. Ingest and the service share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feedmill.core.batches import Mask
from feedmill.core.events import DEFAULTS, SCHEMA, EventBatch, Kind

DAY_MS = 86_400_000
EARLIEST_MS = 365 * DAY_MS  # 1971: before it is, nearly always, a time in seconds taken for milliseconds
MAX_ID = 256  # characters
IDS = ("user_id", "item_id", "request_id", "event_id")
KINDS = {kind.name.lower(): int(kind) for kind in Kind if kind < Kind.EXPERIMENT}  # those that come from outside
UNKNOWN = -1
LARGEST = float(np.finfo(np.float32).max)

Rule = tuple[Mask, Callable[[int], str]]


class Checked(NamedTuple):
    """Which rows are good, and for each of the others the reason: its rule, then ": " and what was found."""

    good: Mask
    reasons: dict[int, str]


def rule(reason: str) -> str:
    """The rule of a reason, without what was found: rejects are counted by it."""
    return reason.partition(": ")[0]


def check(
    columns: Mapping[str, Any], now_ms: int, ahead_ms: int = DAY_MS, found: Mapping[str, Any] | None = None
) -> Checked:
    """Checks n rows; the first rule a row breaks is its reason.

    Args:
        columns: event columns by name, as arrays or lists of n. ``kind`` may be names ("click") or numbers;
            ``time_ms``, ``value`` and ``position`` may be floats with NaN for what is not a number; text may be
            null. A column that is missing has its default.
        now_ms: the time it is.
        ahead_ms: how far in the future an event may be (clocks differ).
        found: columns as they were before they became numbers, to show in reasons.
    """
    n = max((len(v) for v in columns.values()), default=0)
    good, reasons = np.ones(n, np.bool_), dict[int, str]()
    for bad, say in _rules(_Rows(columns, n, found or {}), now_ms, ahead_ms):
        for row in np.flatnonzero(bad & good).tolist():
            reasons[row] = say(row)
        good &= ~bad
    return Checked(good, reasons)


def check_batch(batch: EventBatch, now_ms: int, ahead_ms: int = DAY_MS) -> Checked:
    """The same for a batch."""
    return check({name: batch.table.column(name) for name in SCHEMA.names}, now_ms, ahead_ms)


def kind_codes(kinds: Any) -> NDArray[np.int64]:
    """int64[n] of names or numbers of kinds; ``UNKNOWN`` where there is no such kind."""
    values = kinds if isinstance(kinds, pa.Array | pa.ChunkedArray) else pa.array(kinds)
    if pa.types.is_null(values.type):
        return np.full(len(values), UNKNOWN)
    if pa.types.is_integer(values.type):
        codes = _numbers(values).astype(np.int64)
        return np.where(np.isin(codes, list(KINDS.values())), codes, UNKNOWN)
    names = pa.array(list(KINDS), pa.string())
    at = pc.index_in(pc.utf8_lower(values.cast(pa.string())), names)
    codes = np.append(np.fromiter(KINDS.values(), np.int64), UNKNOWN)
    return np.asarray(codes[pc.fill_null(at, len(KINDS)).to_numpy(zero_copy_only=False)])


class _Rows:
    """The columns in the types the rules compute with."""

    def __init__(self, columns: Mapping[str, Any], n: int, found: Mapping[str, Any]) -> None:
        self._columns, self._n, self._found = columns, n, {**columns, **found}
        self.kind = kind_codes(columns.get("kind", [UNKNOWN] * n))
        self.time_ms = self.number("time_ms", np.nan)
        self.value = self.number("value", DEFAULTS["value"])
        self.position = self.number("position", DEFAULTS["position"])

    def number(self, name: str, default: float) -> NDArray[np.float64]:
        return _numbers(self._columns[name]) if name in self._columns else np.full(self._n, default)

    def length(self, name: str) -> NDArray[np.int64]:
        """Characters of a text column, 0 where it is null."""
        if name not in self._columns:
            return np.zeros(self._n, np.int64)
        return np.asarray(pc.fill_null(pc.utf8_length(_text(self._columns[name])), 0), np.int64)

    def shown(self, name: str, row: int) -> str:
        """What a column has in a row, for a reason."""
        return repr(self._raw(name, row))[:80]

    def _raw(self, name: str, row: int) -> Any:
        value = self._found[name][row] if name in self._found else None
        return value.as_py() if isinstance(value, pa.Scalar) else value

    def absent(self, name: str, bad: Mask) -> Mask:
        """Which of the bad rows have nothing at all in a column."""
        none = np.zeros(self._n, np.bool_)
        for row in np.flatnonzero(bad).tolist():
            none[row] = self._raw(name, row) in (None, "")
        return none

    def not_an_object(self) -> Mask:
        """Where an event that describes has a payload that is not a JSON object."""
        bad: Mask = (self.kind == Kind.ITEM) | (self.kind == Kind.USER)
        if bad.any() and "payload" in self._columns:
            texts = _text(self._columns["payload"]).filter(pa.array(bad)).to_pylist()
            bad[bad] = [not _is_object(text) for text in texts]
        return bad


def _rules(rows: _Rows, now_ms: int, ahead_ms: int) -> Iterator[Rule]:
    kind, time = rows.kind, rows.time_ms
    unknown = kind == UNKNOWN
    yield rows.absent("kind", unknown), lambda r: "kind is missing"
    yield unknown, lambda r: f"unknown kind: {rows.shown('kind', r)}"
    yield (rows.length("user_id") == 0) & (kind != Kind.ITEM), lambda r: "user_id is missing"
    no_item_needed = (kind == Kind.SEARCH) | (kind == Kind.USER)
    yield (rows.length("item_id") == 0) & ~no_item_needed, lambda r: "item_id is missing"
    for name in IDS:
        yield rows.length(name) > MAX_ID, partial(_too_long, rows, name)
    yield rows.absent("time_ms", np.isnan(time)), lambda r: "time is missing"
    yield np.isnan(time), lambda r: f"time is not a time: {rows.shown('time_ms', r)}"
    yield time < EARLIEST_MS, lambda r: f"time is before 1971 (is it in seconds?): {time[r]:.0f} ms"
    yield time > now_ms + ahead_ms, lambda r: f"time is in the future: {time[r]:.0f} ms, and it is {now_ms}"
    no_value = np.isnan(rows.value)
    no_seconds = rows.absent("value", no_value & (kind == Kind.WATCH))
    yield no_seconds, lambda r: "watch without seconds: its value is missing"
    yield rows.absent("value", no_value), lambda r: "value is missing"
    yield no_value, lambda r: f"value is not a number: {rows.shown('value', r)}"
    yield np.abs(rows.value) > LARGEST, lambda r: f"value is too large: {rows.value[r]:g}"
    yield (kind == Kind.WATCH) & (rows.value < 0), lambda r: f"watched seconds are negative: {rows.value[r]:g}"
    no_slot = ~((rows.position >= -1) & (rows.position < 2**15))
    yield no_slot, lambda r: f"position is not a slot: {rows.shown('position', r)}"
    yield rows.not_an_object(), lambda r: f"payload is not a JSON object: {rows.shown('payload', r)}"


def _too_long(rows: _Rows, name: str, row: int) -> str:
    return f"{name} is longer than {MAX_ID} characters: {rows.shown(name, row)}"


def _numbers(values: Any) -> NDArray[np.float64]:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)


def _text(values: Any) -> Any:
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, pa.string())


def _is_object(text: str | None) -> bool:
    try:
        return isinstance(orjson.loads(text or ""), dict)
    except orjson.JSONDecodeError:
        return False
