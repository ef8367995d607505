"""A user's own files through a mapping: the events are those that the rows say."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest

from feedmill.core.clock import FixedClock
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.check import EARLIEST_MS
from feedmill.datasets.mapping import MappedDataset
from feedmill.datasets.tables import EventsTable

CLOCK = FixedClock(1_700_000_000_000)
MAPPING = """
[events]
user = "uid"
item = "vid"
time = "ts"
time_unit = "s"
kind = "action"
value = "ms"
value_unit = "ms"
request = "req"
position = "slot"
event_id = "id"

[events.kinds]
play = "watch"
thumb = "like"

[[events.also]]
kind = "finish"
column = "done"
equals = "yes"

[[events.also]]
kind = "favourite"
column = "stars"
at_least = 4
value = "stars"
"""
ROWS = [
    {"uid": "u2", "vid": "b", "ts": "1600000010", "action": "play", "ms": "2500", "req": "r", "slot": "3", "id": "e1",
     "done": "yes", "stars": "4.5"},
    {"uid": "u1", "vid": "a", "ts": "1600000000.5", "action": "thumb", "ms": "", "req": "", "slot": "", "id": "",
     "done": "no", "stars": "many"},
    {"uid": "u1", "vid": "b", "ts": "1600000010", "action": "Share", "ms": "3", "req": "", "slot": "", "id": "",
     "done": "", "stars": "3.9"},
]  # fmt: skip


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """The rows in the format of the path's suffix."""
    if path.suffix == ".csv":
        lines = [",".join(row.values()) for row in ({k: k for k in rows[0]}, *rows)]
        path.write_text("\n".join(lines))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({k: v for k, v in row.items() if v}) for row in rows))
    else:
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def opened(folder: Path, suffix: str = ".csv", mapping: str = MAPPING, rows: Any = ROWS) -> MappedDataset:
    (folder / "map.toml").write_text(mapping)
    return MappedDataset(write(folder / f"log{suffix}", rows), folder / "map.toml", CLOCK)


def events(dataset: MappedDataset) -> EventBatch:
    return EventBatch.concat(dataset.events())


def columns(batch: EventBatch, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(batch.numpy(name).tolist() for name in names), strict=True))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_events(suffix: str, tmp_path: Path) -> None:
    dataset = opened(tmp_path, suffix)
    batch = events(dataset)
    assert columns(batch, "time_ms", "user_id", "item_id", "kind", "value") == [
        (1_600_000_000_500, "u1", "a", Kind.LIKE, 1.0),
        (1_600_000_010_000, "u2", "b", Kind.WATCH, 2.5),  # milliseconds became seconds
        (1_600_000_010_000, "u2", "b", Kind.FINISH, 1.0),  # "also", in the order of the mapping
        (1_600_000_010_000, "u2", "b", Kind.FAVOURITE, 4.5),
        (1_600_000_010_000, "u1", "b", Kind.SHARE, 3.0),  # a kind's own name; the same time: order of the file
    ]
    assert columns(batch[1:5], "request_id", "position", "event_id") == [
        ("r", 3, "e1"),
        ("r", 3, "e1/1"),
        ("r", 3, "e1/2"),
        ("", -1, ""),
    ]
    assert list(dataset.rejects()) == []


def test_what_cannot_be_an_event_is_refused_with_its_line_and_row(tmp_path: Path) -> None:
    bad = [
        ({"uid": ""}, "user_id is missing"),
        ({"action": "zap"}, "unknown kind: 'zap'"),
        ({"action": ""}, "kind is missing"),
        ({"ts": ""}, "time is missing"),
        ({"ts": "noon"}, "time is not a time: 'noon'"),
        ({"ts": "1700090000"}, "time is in the future: 1700090000000 ms, and it is 1700000000000"),
        ({"ts": "16000"}, "time is before 1971 (is it in seconds?): 16000000 ms"),
        ({"ms": "-1"}, "watched seconds are negative: -0.001"),
        ({"ms": ""}, "watch without seconds: its value is missing"),
        ({"ms": "long"}, "value is not a number: 'long'"),
        ({"slot": "first"}, "position is not a slot: 'first'"),
        ({"ms": "1e308"}, "value is too large: 1e+305"),
        ({"stars": "inf"}, "value is too large: inf"),  # of an extra event: the row is refused as a whole
    ]
    rows = [ROWS[0], *(ROWS[0] | change for change, _ in bad)]
    dataset = opened(tmp_path, rows=rows)
    assert len(events(dataset)) == 3
    found = list(dataset.rejects())
    assert [(r.file, r.line, r.reason) for r in found] == [
        ("log.csv", line, reason) for line, (_, reason) in enumerate(bad, start=3)
    ]
    assert orjson.loads(found[1].row) == ROWS[0] | {"action": "zap"}


@pytest.mark.parametrize(
    ("unit", "text", "ms"),
    [
        ("s", "1600000000", 1_600_000_000_000),
        ("s", "1600000000.1234", 1_600_000_000_123),
        ("ms", " 1600000000000 ", 1_600_000_000_000),
        ("us", "1600000000000999", 1_600_000_000_001),
        ("iso", "2020-09-13T12:26:40Z", 1_600_000_000_000),
        ("iso", "2020-09-13 12:26:40.250", 1_600_000_000_250),
        ("iso", "2020-09-13T14:26:40+02:00", 1_600_000_000_000),
        ("iso", "2020-09-13", 1_599_955_200_000),
    ],
)
def test_units_of_time(unit: str, text: str, ms: int, tmp_path: Path) -> None:
    mapping = f'[events]\ntime = "when"\ntime_unit = "{unit}"\nkind = "click"'
    dataset = opened(tmp_path, mapping=mapping, rows=[{"user_id": "u", "item_id": "i", "when": text}])
    assert events(dataset).numpy("time_ms").tolist() == [ms]


@pytest.mark.parametrize("time_unit", ["s", "ms", "us", "iso"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo", "-03:30"])
def test_typed_times_need_no_unit(time_unit: str, unit: str, zone: str | None, tmp_path: Path) -> None:
    instants = pa.array([1_600_000_000_500, None], pa.timestamp("ms")).cast(pa.timestamp(unit))
    times = instants.cast(pa.int64()).cast(pa.timestamp(unit, zone))  # an instant is counted in UTC, whatever the zone
    table = {"user_id": [7, 7], "item_id": [8.0, None], "at": times}
    pa.parquet.write_table(pa.table(table), tmp_path / "log.parquet")
    (tmp_path / "map.toml").write_text(f'[events]\ntime = "at"\ntime_unit = "{time_unit}"\nkind = "click"')
    dataset = MappedDataset(tmp_path / "log.parquet", tmp_path / "map.toml", CLOCK)
    assert columns(events(dataset), "time_ms", "user_id", "item_id") == [(1_600_000_000_500, "7", "8")]


def test_typed_times_without_a_mapping(tmp_path: Path) -> None:
    for times, ms in (
        (pa.array([dt.date(2020, 9, 13)]), 1_599_955_200_000),
        (pa.array([dt.date(2020, 9, 13)], pa.date64()), 1_599_955_200_000),
        (pa.array([dt.datetime(2020, 9, 13, 12, 26, 40)]).dictionary_encode(), 1_600_000_000_000),
    ):
        pa.parquet.write_table(pa.table({"user_id": ["u"], "item_id": ["i"], "time_ms": times}), tmp_path / "a.parquet")
        assert events(MappedDataset(tmp_path / "a.parquet", clock=CLOCK)).numpy("time_ms").tolist() == [ms]


def test_ids_are_text_or_numbers(tmp_path: Path) -> None:
    good = {"user_id": "u", "item_id": 5, "time_ms": 1_600_000_000_000, "payload": {"a": 1}}
    bad: list[tuple[dict[str, Any], str]] = [
        ({"item_id": ["x", "y"]}, "item_id is a list"),
        ({"item_id": []}, "item_id is a list"),
        ({"item_id": {"a": 1}}, "item_id is an object"),
        ({"user_id": True}, "user_id is true or false"),
        ({"request_id": ["r"]}, "request_id is a list"),
        ({"event_id": False}, "event_id is true or false"),
        ({"payload": ["a"]}, "payload is a list"),
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(row) for row in (good, *(good | c for c, _ in bad))))
    dataset = MappedDataset(tmp_path / "log.jsonl", clock=CLOCK)
    assert columns(events(dataset), "user_id", "item_id", "payload") == [("u", "5", '{"a":1}')]
    assert [(r.line, r.reason) for r in dataset.rejects()] == [
        (line, f"{reason}, and has to be text or a number") for line, (_, reason) in enumerate(bad, start=2)
    ]


@pytest.mark.parametrize(
    ("ids", "what"), [([[1], None], "a list"), ([{"a": 1}, None], "an object"), ([True, None], "true or false")]
)
def test_ids_of_parquet_are_text_or_numbers(ids: list[Any], what: str, tmp_path: Path) -> None:
    table = {"user_id": ["u", "u"], "item_id": ids, "time_ms": [1_600_000_000_000] * 2}
    pa.parquet.write_table(pa.table(table), tmp_path / "log.parquet")
    dataset = MappedDataset(tmp_path / "log.parquet", clock=CLOCK)
    assert list(dataset.events()) == []
    assert [r.reason for r in dataset.rejects()] == [
        f"item_id is {what}, and has to be text or a number",
        "item_id is missing",
    ]


@pytest.mark.parametrize(
    ("file", "separator", "toml"),
    [("a.csv", ";", ";"), ("a.csv", "\t", r"\t"), ("a.csv.gz", "|", "|"), ("a.tsv", ",", ",")],
)
def test_another_separator_is_suggested(file: str, separator: str, toml: str, tmp_path: Path) -> None:
    rows = ["user_id", "item_id", "time_ms"], ["u", "i", "1600000000000"]
    content = "\n".join(map(separator.join, rows)).encode()
    (tmp_path / file).write_bytes(gzip.compress(content, mtime=0) if file.endswith(".gz") else content)
    with pytest.raises(DataError, match="single column") as caught:
        events(MappedDataset(tmp_path / file, clock=CLOCK))
    assert f'[events] separator = "{toml}"' in caught.value.fix
    (tmp_path / "map.toml").write_text(f'[events]\nkind = "click"\nseparator = "{toml}"')
    assert len(events(MappedDataset(tmp_path / file, tmp_path / "map.toml", CLOCK))) == 1


def test_another_separator_is_suggested_even_if_no_row_fits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id;item_id;score\nu;i;1,5\nu;j;2,5\n")
    with pytest.raises(DataError, match="single column"):
        events(MappedDataset(tmp_path / "a.csv", clock=CLOCK))


def test_a_mapping_error_names_its_file(tmp_path: Path) -> None:
    for wrong in ("time_unit = 'days'", "uzer = 'x'", "kind = 'watch'"):
        with pytest.raises(ConfigError) as caught:
            opened(tmp_path, mapping=f"[events]\n{wrong}")
        assert caught.value.given.startswith(f"{tmp_path / 'map.toml'}: ")


def test_without_a_mapping_columns_have_our_names(tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "time_ms": "1600000000000", "kind": "watch", "value": "4", "position": "2"}
    dataset = MappedDataset(write(tmp_path / "log.csv", [row]), clock=CLOCK)
    assert columns(events(dataset), "kind", "value", "position") == [(Kind.WATCH, 4.0, 2)]
    few = {k: row[k] for k in ("user_id", "item_id", "time_ms")}
    dataset = MappedDataset(write(tmp_path / "few.jsonl", [few, few | {"value": "3"}]), clock=CLOCK)
    assert columns(events(dataset), "kind", "value") == [(Kind.CLICK, 1.0), (Kind.CLICK, 3.0)]
    assert len(dataset.items()) == len(dataset.users()) == 0


def test_searches_carry_their_text(tmp_path: Path) -> None:
    mapping = '[events]\nkind = "search"\npayload = "q"'
    rows = [{"user_id": "u", "item_id": "", "time_ms": "1600000000000", "q": "red shoes"}]
    batch = events(opened(tmp_path, mapping=mapping, rows=rows))
    assert columns(batch, "kind", "item_id", "payload") == [(Kind.SEARCH, "", "red shoes")]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_an_unknown_column_is_named_with_the_nearest(suffix: str, tmp_path: Path) -> None:
    for wrong, key in (("vidd", "item"), ("actoin", "kind"), ("starz", "also[1].column")):
        right = {"vidd": "vid", "actoin": "action", "starz": "stars"}[wrong]
        mapping = MAPPING.replace(f'"{right}"', f'"{wrong}"', 1)
        with pytest.raises(DataError) as caught:
            events(opened(tmp_path, suffix, mapping))
        assert caught.value.given == f'log{suffix} has no column "{wrong}" (events.{key})'
        assert f'did you mean "{right}"?' in caught.value.fix
        assert "uid" in caught.value.expected


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('uid"', 'uid"\nuzer = "x"', 'unknown key "events.uzer"'),
        ('"watch"', '"wach"', 'events.kinds.play = "wach"'),
        ('"finish"', '"fin"', r'events.also\[0\].kind = "fin"'),
        ('equals = "yes"', "", r"events.also\[0\] has no conditions"),
        ('equals = "yes"', 'equals = "yes"\nat_least = 1', r"events.also\[0\] has two conditions"),
        ('value = "ms"', "", "no column has the seconds"),
        ('time_unit = "s"', 'time_unit = "days"', "events.time_unit = 'days'"),
        ("[events]", "[event", "is not TOML"),
    ],
)
def test_a_mapping_that_contradicts_itself(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        opened(tmp_path, mapping=MAPPING.replace(old, new, 1))


def test_no_mapping_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*map\.toml"):
        MappedDataset(tmp_path / "log.csv", tmp_path / "map.toml")


ITEMS = """
[events]
kind = "click"
[items]
file = "items.jsonl"
item = "vid"
title = "name"
author = "by"
topics = "tags"
topics_separator = ","
duration = "ms"
duration_unit = "ms"
publish = "day"
available = "on"
attributes = ["language"]
[users]
file = "users.csv"
user = "uid"
attributes = ["country"]
"""


def test_items_and_users(tmp_path: Path) -> None:
    items = [
        {"vid": "a", "name": "A", "by": 5, "tags": "x, y,", "ms": 1500, "day": "2020-01-01", "on": 1, "language": "en"},
        {"vid": 2, "tags": ["p,q", "r"], "on": "No", "ms": None},
        {"vid": "c", "ms": "long"},
        {"name": "nameless"},
        {"vid": "e", "day": "soon"},
        {"vid": ["f"]},
        {"vid": "g", "by": {"name": "x"}},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    (tmp_path / "users.csv").write_text("uid,country\nu,no\nv,\n,se\n")
    rows = [{"user_id": "u", "item_id": "a", "time_ms": "1600000000000"}]
    dataset = opened(tmp_path, mapping=ITEMS, rows=rows)
    described = columns(dataset.items(), "time_ms", "kind", "item_id")
    assert described == [(1_600_000_000_000, Kind.ITEM, "a"), (1_600_000_000_000, Kind.ITEM, "2")]
    assert [orjson.loads(p) for p in dataset.items().numpy("payload")] == [
        {
            "title": "A",
            "author_id": "5",
            "topics": ["x", "y"],
            "duration_s": 1.5,
            "publish_ms": 1_577_836_800_000,
            "available": True,
            "language": "en",
        },
        {"topics": ["p,q", "r"], "available": False},
    ]
    assert columns(dataset.users(), "kind", "user_id", "payload") == [
        (Kind.USER, "u", '{"country":"no"}'),
        (Kind.USER, "v", "{}"),
    ]
    assert [(r.file, r.line, r.reason) for r in dataset.rejects()] == [
        ("users.csv", 4, "user_id is missing"),
        ("items.jsonl", 3, "duration is not a length: 'long'"),
        ("items.jsonl", 4, "item_id is missing"),
        ("items.jsonl", 5, "time of publication is not a time: 'soon'"),
        ("items.jsonl", 6, "item_id is a list, and has to be text or a number"),
        ("items.jsonl", 7, "author is an object, and has to be text or a number"),
    ]


def test_a_log_without_good_rows_does_not_date_its_items_today(tmp_path: Path) -> None:
    item = dict.fromkeys(("name", "by", "tags", "ms", "day", "on", "language")) | {"vid": "a"}
    (tmp_path / "items.jsonl").write_text(json.dumps(item))
    (tmp_path / "users.csv").write_text("uid,country\n")
    dataset = opened(tmp_path, mapping=ITEMS, rows=[{"user_id": "u", "item_id": "a", "time_ms": "5"}])
    assert list(dataset.events()) == []
    assert dataset.items().numpy("time_ms").tolist() == [EARLIEST_MS]
    assert len(list(dataset.rejects())) == 1


def test_a_source_is_the_file_and_its_mapping(tmp_path: Path) -> None:
    def source(mapping: str = MAPPING, rows: Any = ROWS) -> str:
        return opened(tmp_path, mapping=mapping, rows=rows).source()

    assert source() == source(MAPPING + "\n# a comment\n")
    assert len({source(), source(rows=ROWS[:2]), source(MAPPING.replace("at_least = 4", "at_least = 3"))}) == 3


def test_the_defaults_are_our_own_names() -> None:
    table = EventsTable()
    assert (table.user, table.item, table.time, table.kind) == ("user_id", "item_id", "time_ms", "kind")
