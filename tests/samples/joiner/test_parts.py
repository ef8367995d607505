"""Files of samples: by day in a time zone, the same bytes, and the newest of the last stretch."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feedmill.core.events import EventBatch, Kind
from feedmill.samples.joiner import Joiner, parts
from feedmill.samples.joiner.samples import Joined
from samples.joiner.plain import event, told

HOUR = 3600.0


def joined(n: int = 60) -> Joined:
    """A feed every 20 minutes from 12:26 UTC on, half of them clicked, and one click too late."""
    rows = []
    for k in range(n):
        rows.append(event(Kind.IMPRESSION, k * HOUR / 3, f"r{k}", "x", position=k))
        if k % 2:
            rows.append(event(Kind.CLICK, k * HOUR / 3 + 5, f"r{k}", "x"))
        if k == 24:
            rows.append(event(Kind.CLICK, k * HOUR / 3 + 15, "r24", "x"))
    return Joiner(told({"witnesses": 1})).feed(EventBatch.rows(rows), 0)


def day_of(folder: Path, day: str) -> pa.Table:
    found = [path for _, _, path in parts.files(folder / f"day={day}")]
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in found])


def write(folder: Path, start: int, stop: int, what: Joined, timezone: str = "UTC") -> list[Path]:
    return parts.write(folder, start, stop, what.samples, what.side, timezone)


@pytest.mark.parametrize(("timezone", "hours"), [("UTC", 12), ("America/Los_Angeles", 5), ("Asia/Kolkata", 17.5)])
def test_a_day_ends_at_its_own_midnight(tmp_path: Path, timezone: str, hours: float) -> None:
    what, days = joined(), ["2020-09-13", "2020-09-14"]
    write(tmp_path, 0, 90, what, timezone)
    assert parts.days(tmp_path) == days
    first = day_of(tmp_path, days[0])
    n_complete = sum(first["is_complete"].to_pylist())
    assert n_complete == int((24 - hours - 26 / 60 - 40 / 3600) * 3) + 1  # the first is at 12:26:40 UTC
    whole = pa.concat_tables([day_of(tmp_path, day) for day in days])
    assert sorted(whole["offset"].to_pylist()) == sorted(what.samples["offset"].to_pylist())


def test_the_bytes_do_not_show_how_the_rows_came(tmp_path: Path) -> None:
    what = joined()
    pieces = pa.concat_tables([what.samples.slice(k, 7) for k in range(0, what.samples.num_rows, 7)])
    a = write(tmp_path / "a", 0, 90, what)
    b = write(tmp_path / "b", 0, 90, Joined(pieces, what.side))
    assert [p.read_bytes() for p in a] == [p.read_bytes() for p in b]


def test_the_types_and_labels_come_back(tmp_path: Path) -> None:
    what = joined()
    write(tmp_path, 0, 90, what)
    day = day_of(tmp_path, "2020-09-13")
    day = day.filter(day["is_complete"])
    assert day.schema.field("click").type == pa.uint8()
    assert day["click"].to_pylist() == [k % 2 for k in range(len(day))]
    assert set(day["watch_s"].to_pylist()) == {0.0}
    aside = pq.read_table(next((tmp_path / "side").iterdir()))
    assert aside["why"].to_pylist() == ["late"]


def test_a_longer_stretch_takes_the_place_of_a_shorter(tmp_path: Path) -> None:
    short, whole = joined(30), joined(60)
    write(tmp_path, 0, 45, short)
    later = write(tmp_path, 0, 90, whole)
    assert sorted(p for p in tmp_path.rglob("*.parquet")) == sorted(later)
    begun = tmp_path / "day=2020-09-13" / f"part-{0:020d}-{45:020d}.parquet"  # as after a crash in between
    pq.write_table(short.samples, begun)
    assert [stop for _, stop, _ in parts.files(begun.parent)] == [90]


def test_what_a_range_of_events_closed_comes_in_the_order_it_closed(tmp_path: Path) -> None:
    what = joined()
    at = what.samples["closed_at"].to_pylist()
    cut = at[len(at) // 2]
    n = at.index(cut)
    write(tmp_path, 0, cut, Joined(what.samples.slice(0, n), what.side))
    write(tmp_path, cut, 90, Joined(what.samples.slice(n), what.side.slice(0, 0)))
    (first, second) = parts.closed(tmp_path, 0, 1000)
    assert pa.concat_tables([first, second]).to_pylist() == what.samples.to_pylist()
    some = pa.concat_tables(parts.closed(tmp_path, at[3], at[-4]))
    assert some["closed_at"].to_pylist() == [x for x in at if at[3] <= x < at[-4]]
    assert list(parts.closed(tmp_path, 10**6, 10**7)) == []


def test_a_file_that_is_replaced_while_it_is_read_costs_nothing(tmp_path: Path) -> None:
    """The joiner writes a longer file and drops the shorter between a reader's look and its reading."""
    short, whole = joined(30), joined(60)
    write(tmp_path, 0, 45, short)
    read, n = pq.read_table, 0

    def late(path: Path, **how: Any) -> pa.Table:
        nonlocal n
        n += 1
        if n == 1:
            write(tmp_path, 0, 90, whole)
        return read(path, **how)

    def gone(path: Path, **how: Any) -> pa.Table:
        for old in tmp_path.glob("day=*/*.parquet"):
            old.unlink()
        return read(path, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.pq, "read_table", late)
        (found,) = parts.closed(tmp_path, 0, 45)
    closed_at = whole.samples["closed_at"].to_pylist()
    assert found.to_pylist() == [r for r, at in zip(whole.samples.to_pylist(), closed_at, strict=True) if at < 45]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.pq, "read_table", gone)
        assert list(parts.closed(tmp_path, 0, 45)) == [], "as when somebody joins anew"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "day=2020-09-13").mkdir()
    left = tmp_path / "day=2020-09-13" / ".part-x.parquet.new"
    left.write_bytes(b"half")
    parts.clean(tmp_path)
    assert not left.exists()


def test_a_disk_that_fills_leaves_what_was_there(tmp_path: Path) -> None:
    (before, *_) = write(tmp_path, 0, 45, joined(30))
    kept = before.read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # Python ignores SIGXFSZ: writes fail as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, 0, 90, joined(60))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.parent == before.parent] == [before]
    assert before.read_bytes() == kept


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="full"), parts.replaced(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise OSError("full")
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
