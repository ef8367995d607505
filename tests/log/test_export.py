from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event_log import event
from contracts.event_log_writer import plain
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.log import export
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import read_all

_MORE_MS = st.integers(-(10**11), 10**12)


@settings(max_examples=25, deadline=None)
@given(drawn=st.lists(st.tuples(event, _MORE_MS), max_size=12), chunk=st.integers(1, 5))
def test_what_was_exported_comes_back_equal(
    drawn: list[tuple[dict[str, object], int]], chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, log, back = tmp_path_factory.mktemp("x") / "out", MemoryLog(), MemoryLog()
    log.append(EventBatch.rows([{**e, "time_ms": ms, "event_id": f"e{k}"} for k, (e, ms) in enumerate(drawn)]))
    with pytest.MonkeyPatch.context() as small:
        small.setattr(export, "CHUNK", chunk)
        export.export(log, folder, "Asia/Shanghai")
    assert export.restore(folder, back) == (len(drawn), 0)
    assert read_all(back).table.equals(read_all(log).table)
    assert export.restore(folder, back) == (0, len(drawn))


def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    zone = ZoneInfo("America/New_York")
    times = [
        int(datetime(2024, 3, 9 + d, h, m, tzinfo=zone).timestamp() * 1e3)
        for d, h, m in ((0, 23, 59), (1, 0, 0), (1, 1, 59), (1, 3, 0), (1, 23, 59), (2, 0, 0))
    ]  # clocks go forward on the 10th
    log = MemoryLog()
    log.append(EventBatch.of({"time_ms": times, "kind": 1, "user_id": "u"}))
    done = export.export(log, tmp_path / "out", "America/New_York")
    assert (done.start, done.end) == (0, 6)
    sizes = {
        p.parent.name: pl.read_parquet(p, hive_partitioning=False)["offset"].to_list()
        for p in sorted((tmp_path / "out").glob("day=*/*.parquet"))
    }
    assert sizes == {"day=2024-03-09": [0], "day=2024-03-10": [1, 2, 3, 4], "day=2024-03-11": [5]}


def test_a_log_that_was_cut_is_exported_from_where_it_starts(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(plain(10))
    with log.rewriting() as rewriter:
        rewriter.drop_before(4)
    assert export.export(log, tmp_path / "out", "UTC").start == 4
    back = MemoryLog()
    assert export.restore(tmp_path / "out", back) == (6, 0)
    assert read_all(back).numpy("time_ms").tolist() == [4, 5, 6, 7, 8, 9]
    log.close()


def test_what_is_no_whole_export_is_refused(tmp_path: Path) -> None:
    log, back = MemoryLog(), MemoryLog()
    log.append(plain(5))
    with pytest.raises(DataError, match="manifest"):
        export.restore(tmp_path, back)
    export.export(log, tmp_path / "out", "UTC")
    with pytest.raises(DataError, match="not empty"):
        export.export(log, tmp_path / "out", "UTC")
    (part,) = (tmp_path / "out").glob("day=*/*.parquet")
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])
    with pytest.raises(DataError, match="offset 0"):
        export.restore(tmp_path / "out", back)
    part.unlink()
    with pytest.raises(DataError, match="0 of the 5 events"):
        export.restore(tmp_path / "out", back)
    (tmp_path / "out" / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="manifest that"):
        export.restore(tmp_path / "out", back)
    assert back.end == 0
    with pytest.raises(DataError, match="Middle/Earth"):
        export.export(log, tmp_path / "other", "Middle/Earth")
