"""The mapping file: which columns of a user's own log are what. TOML, for example::

[events]
user = "uid"
item = "vid"
time = "ts"
time_unit = "s"
kind = "action"
value = "play_time"
value_unit = "ms"

[events.kinds]      # what the column "action" says -> the kind of event
play = "watch"
thumb = "like"

[[events.also]]     # a second event for rows with a rating of 4 or more
kind = "like"
column = "rating"
at_least = 4

[items]
file = "videos.csv"
item = "vid"
title = "name"
topics = "tags"
attributes = ["language"]
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from feedmill.core.config import Config, convert, nearest, read_toml
from feedmill.core.errors import ConfigError
from feedmill.datasets.check import KINDS

Column = Annotated[str, Meta(description='the name of a column, "" = there is none')]
Seconds = Literal["s", "ms"]
TimeUnit = Literal["s", "ms", "us", "iso"]
TEXT_OF_TIME = "s, ms, us: a number since 1970 UTC; iso: text such as 2024-05-01T10:00:00Z, UTC unless it says"


class Also(Config, frozen=True):
    """One more event for the rows where a column has a certain value, right after the row's own event."""

    kind: Annotated[str, Meta(description="the kind of the extra event")]
    column: Annotated[str, Meta(description="the column that decides", min_length=1)]
    at_least: Annotated[float | None, Meta(description="rows where it is a number of at least this")] = None
    equals: Annotated[str | None, Meta(description="rows where it is this text")] = None
    value: Annotated[Column, Meta(description="the extra event's value; without it, 1")] = ""
    value_unit: Seconds = "s"


class EventsTable(Config, frozen=True):
    """The columns of the log itself. The defaults are the names of feedmill's own columns."""

    user: Column = "user_id"
    item: Column = "item_id"
    time: Column = "time_ms"
    time_unit: Annotated[TimeUnit, Meta(description=TEXT_OF_TIME)] = "ms"
    kind: Annotated[str, Meta(description='a kind for all rows ("click"), or the column that has it')] = "kind"
    kinds: Annotated[dict[str, str], Meta(description='values of the kind column -> kinds: play = "watch"')] = {}
    value: Annotated[Column, Meta(description="watched seconds, or a rating")] = ""
    value_unit: Annotated[Seconds, Meta(description="of watched seconds")] = "s"
    request: Annotated[Column, Meta(description="the id of the request that showed the item")] = ""
    position: Annotated[Column, Meta(description="the slot it was shown in, from 0")] = ""
    event_id: Annotated[Column, Meta(description="an id by which an event is stored once")] = ""
    payload: Annotated[Column, Meta(description="the text of a search")] = ""
    also: tuple[Also, ...] = ()
    separator: Annotated[str, Meta(description='of the fields of a CSV, "" = by the suffix', max_length=1)] = ""


class ItemsTable(Config, frozen=True):
    """The table of items; none without ``file``."""

    file: Annotated[str, Meta(description="relative to the log's folder")] = ""
    item: Column = "item_id"
    title: Column = ""
    author: Column = ""
    topics: Column = ""
    topics_separator: Annotated[str, Meta(description="between topics in one text", min_length=1)] = "|"
    duration: Column = ""
    duration_unit: Seconds = "s"
    publish: Annotated[Column, Meta(description="when it was published")] = ""
    publish_unit: Annotated[TimeUnit, Meta(description=TEXT_OF_TIME)] = "iso"
    available: Annotated[Column, Meta(description="0, false and no take an item down")] = ""
    attributes: Annotated[tuple[str, ...], Meta(description="more columns to keep, as categories")] = ()
    separator: Annotated[str, Meta(max_length=1)] = ""


class UsersTable(Config, frozen=True):
    """The table of users; none without ``file``."""

    file: Annotated[str, Meta(description="relative to the log's folder")] = ""
    user: Column = "user_id"
    attributes: Annotated[tuple[str, ...], Meta(description="columns to keep, as categories")] = ()
    separator: Annotated[str, Meta(max_length=1)] = ""


class LogMapping(Config, frozen=True):
    """Which columns of a user's own log are what."""

    events: EventsTable = EventsTable()
    items: ItemsTable = ItemsTable()
    users: UsersTable = UsersTable()


def read_mapping(path: Path) -> LogMapping:
    """A mapping file.

    Raises:
        ConfigError: it is missing, is not TOML, has an unknown key, or a kind that does not exist; it names the file.
    """
    if not path.is_file():
        raise ConfigError(f"no file {path}", "a mapping file in TOML", "check the path")
    raw = read_toml(path)
    try:
        mapping = convert(raw, LogMapping)
        check_mapping(mapping)
    except ConfigError as e:
        raise ConfigError(f"{path}: {e.given}", e.expected, e.fix) from None
    return mapping


def check_mapping(mapping: LogMapping) -> None:
    """What types alone do not say.

    Raises:
        ConfigError: a kind that does not exist, watching without seconds, or an extra event without a condition.
    """
    events = mapping.events
    for raw, kind in events.kinds.items():
        _check_kind(f"events.kinds.{raw}", kind, events.value)
    if fixed_kind(events):
        _check_kind("events.kind", events.kind, events.value)
    for i, also in enumerate(events.also):
        _check_kind(f"events.also[{i}].kind", also.kind, also.value)
        if (also.at_least is None) == (also.equals is None):
            raise ConfigError(
                f"events.also[{i}] has {'no' if also.equals is None else 'two'} conditions",
                "at_least or equals",
                f'say for which values of "{also.column}" there is an event, such as at_least = 4',
            )


def _check_kind(where: str, kind: str, value: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f'{where} = "{kind}"', f"one of {sorted(KINDS)}", nearest(kind, KINDS))
    if kind == "watch" and not value:
        raise ConfigError(
            f'{where} = "watch", but no column has the seconds',
            'value = "a column"',
            'name the column in "value", or make it a "click"',
        )


def fixed_kind(events: EventsTable) -> str:
    """The kind of all rows, or "" where a column has it: ``kinds`` says that it is a column."""
    return events.kind if events.kind in KINDS and not events.kinds else ""


def infer(columns: Collection[str]) -> EventsTable:
    """The mapping of a log that has no mapping file: its columns are already named as feedmill's are."""
    return EventsTable(
        kind="kind" if "kind" in columns else "click",
        value="value",
        request="request_id",
        position="position",
        event_id="event_id",
        payload="payload",
    )


def used(events: EventsTable) -> dict[str, str]:
    """Mapping key -> column, of every column the mapping names."""
    keys = ("user", "item", "time", "value", "request", "position", "event_id", "payload")
    columns = {key: getattr(events, key) for key in keys}
    if not fixed_kind(events):
        columns["kind"] = events.kind
    for i, also in enumerate(events.also):
        columns |= {f"also[{i}].column": also.column, f"also[{i}].value": also.value}
    return {key: column for key, column in columns.items() if column}
