"""Columns of text -> columns of events, as a mapping says."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.batches import Mask
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.datasets.check import KINDS, Checked, check
from feedmill.datasets.rows import Chunk, not_ids, suffix_of
from feedmill.datasets.tables import Also, EventsTable, Seconds, TimeUnit, fixed_kind

Numbers = NDArray[np.float64]
_MS = {"s": 1e3, "ms": 1.0, "us": 1e-3}
_SEPARATORS = {";": ";", "\t": r"\t", "|": "|", ",": ","}  # each as TOML has it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Events(NamedTuple):
    """The events of a chunk's good rows, with their ``line`` and ``nth`` (0 = the row's own event); the check."""

    frame: pl.DataFrame
    checked: Checked


def text(rows: pl.DataFrame, column: str) -> pl.Series:
    """A column without the spaces around its values, null where there is nothing or no such column."""
    if column not in rows.columns:
        return pl.Series(column, [None] * len(rows), pl.String)
    stripped = rows[column].str.strip_chars()
    return stripped.set(stripped == "", None)


def numbers(texts: pl.Series) -> Numbers:
    """float64, NaN for what is not a number."""
    return texts.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy(writable=True)


def times(chunk: Chunk, column: str, unit: TimeUnit) -> Numbers:
    """Milliseconds since 1970 UTC as whole float64 numbers, NaN for what is not a time.

    The unit is of numbers and text; a column of typed times says itself what they are.
    """
    texts = text(chunk.columns, column)
    if unit == "iso" or (column in chunk.was and (chunk.was[column] == "a time").any()):
        return np.fromiter(map(_iso_ms, texts.to_list()), np.float64, len(texts))
    return np.rint(numbers(texts) * _MS[unit])


def _iso_ms(value: str | None) -> float:
    try:
        when = datetime.fromisoformat(value or "")
    except ValueError:
        return float("nan")
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return float(round((when - _EPOCH).total_seconds() * 1e3))


def require(wanted: dict[str, str], columns: Collection[str], file: str, section: str) -> None:
    """Refuses a mapping that names columns which are not there.

    Raises:
        DataError: with the nearest column, and all there are.
    """
    for key, column in wanted.items():
        if column not in columns:
            _refuse_separator(columns, file, section)
            guess = nearest(column, columns)
            fix = f'say in a mapping file which column it is: [{section}] {key} = "…"'
            raise DataError(
                f'{file} has no column "{column}" ({section}.{key})',
                f"one of {', '.join(columns)}",
                f"{guess} {fix}" if guess else fix,
            )


def _refuse_separator(columns: Collection[str], file: str, section: str) -> None:
    """Says so where a CSV has a single column because its fields are separated by something else."""
    if len(columns) != 1 or suffix_of(Path(file)) not in (".csv", ".tsv"):
        return
    (only,) = columns
    for separator, toml in _SEPARATORS.items():
        if separator in only:
            raise DataError(
                f"{file} has a single column, {only!r}",
                "fields separated by a tab" if suffix_of(Path(file)) == ".tsv" else "fields separated by a comma",
                f'say in a mapping file what separates them: [{section}] separator = "{toml}"',
            )


def events_of(chunk: Chunk, table: EventsTable, now_ms: int) -> Events:
    """The events of a chunk of n rows. A row is good if all its events are."""
    rows, lines, own = chunk.columns, chunk.lines, _own(chunk, table)
    found = {"time_ms": text(rows, table.time), "position": text(rows, table.position)}
    good, reasons = check(_arrow(own), now_ms, found=found | {"value": text(rows, table.value)})
    unfit = _unfit(chunk, table)
    reasons |= unfit
    good[list(unfit)] = False
    parts = [(np.arange(len(rows)), own)]
    for nth, also in enumerate(table.also, start=1):
        at = np.flatnonzero(_holds(rows, also))
        extra = _extra(own[at], rows[at], also, nth)
        parts.append((at, extra))
        for i, reason in check(_arrow(extra), now_ms, found={"value": text(rows[at], also.value)}).reasons.items():
            reasons.setdefault(int(at[i]), reason)
            good[at[i]] = False
    frames = [
        _typed(part.filter(good[at])).with_columns(line=lines[at[good[at]]], nth=pl.lit(nth, pl.Int8))
        for nth, (at, part) in enumerate(parts)
    ]
    return Events(pl.concat(frames), Checked(good, reasons))


def _unfit(chunk: Chunk, table: EventsTable) -> dict[int, str]:
    """The reasons of rows with a list or the like where text has to be; a payload may be an object."""
    ids = {"user_id": table.user, "item_id": table.item, "request_id": table.request, "event_id": table.event_id}
    return not_ids(chunk, {"payload": table.payload}, "an object") | not_ids(chunk, ids)


def _own(chunk: Chunk, table: EventsTable) -> pl.DataFrame:
    """One event a row, not yet checked: numbers are float64 and may be NaN."""
    rows = chunk.columns
    kind = _kinds(rows, table)
    return pl.DataFrame(
        {
            "time_ms": times(chunk, table.time, table.time_unit),
            "kind": kind,
            "user_id": text(rows, table.user).fill_null(""),
            "item_id": text(rows, table.item).fill_null(""),
            "value": _values(rows, table.value, table.value_unit, (kind == "watch").to_numpy()),
            "request_id": text(rows, table.request).fill_null(""),
            "position": _or(text(rows, table.position), -1.0),
            "event_id": text(rows, table.event_id).fill_null(""),
            "payload": text(rows, table.payload).fill_null(""),
        }
    )


def _kinds(rows: pl.DataFrame, table: EventsTable) -> pl.Series:
    """Names of kinds; what ``kinds`` does not know stays as it is, and is refused unless it is a kind's name."""
    if kind := fixed_kind(table):
        return pl.Series("kind", [kind]).new_from_index(0, len(rows))
    said = text(rows, table.kind).fill_null("")
    names = said.replace(table.kinds) if table.kinds else said
    return names.str.to_lowercase()


def _values(rows: pl.DataFrame, column: str, unit: Seconds, is_watch: Mask) -> Numbers:
    """1 where there is none, but watching without seconds is NaN; ``unit`` is of watched seconds."""
    values = _or(text(rows, column), 1.0)
    values[is_watch & text(rows, column).is_null().to_numpy()] = np.nan
    values[is_watch] *= 1e-3 if unit == "ms" else 1.0
    return values


def _or(texts: pl.Series, default: float) -> Numbers:
    """Numbers with a default where there is no text at all."""
    return np.where(texts.is_null().to_numpy(), default, numbers(texts))


def _holds(rows: pl.DataFrame, also: Also) -> Mask:
    """Which rows have the extra event."""
    texts = text(rows, also.column)
    if also.at_least is not None:
        return np.asarray(numbers(texts) >= also.at_least)
    return np.asarray((texts == also.equals).fill_null(False).to_numpy())


def _extra(own: pl.DataFrame, rows: pl.DataFrame, also: Also, nth: int) -> pl.DataFrame:
    """The extra event of the given rows: as the row's own, but for kind and value."""
    values = _values(rows, also.value, also.value_unit, np.full(len(rows), also.kind == "watch"))
    event_id = pl.col("event_id")
    return own.with_columns(
        kind=pl.lit(also.kind),
        value=pl.Series(values),
        # The log takes an id once, so the extra event has one of its own.
        event_id=pl.when(event_id == "").then(pl.lit("")).otherwise(event_id + f"/{nth}"),
    )


def _typed(events: pl.DataFrame) -> pl.DataFrame:
    """Checked events in the types of ``SCHEMA``."""
    return events.with_columns(
        pl.col("time_ms").cast(pl.Int64),
        pl.col("kind").replace_strict(KINDS, return_dtype=pl.Int8),
        pl.col("value").cast(pl.Float32),
        pl.col("position").cast(pl.Int16),
    )


def _arrow(events: pl.DataFrame) -> dict[str, Any]:
    return {c.name: c.to_arrow(compat_level=pl.CompatLevel.oldest()) for c in events}
