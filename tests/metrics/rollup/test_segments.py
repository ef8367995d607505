"""Files of the tables: crashes, damage, several writers, merging."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog
from feedmill.metrics.rollup.columns import SCHEMAS
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.segments import Segments
from metrics.rollup.brute import DAY_MS, START_MS


def events(n: int) -> EventBatch:
    return EventBatch.of(
        {
            "time_ms": [START_MS + k * DAY_MS // 7 for k in range(n)],
            "kind": int(Kind.CLICK),
            "user_id": [f"u{k % 5}" for k in range(n)],
            "item_id": "i1",
        }
    )


def log_of(n: int) -> MemoryLog:
    log = MemoryLog()
    log.append(events(n))
    return log


def content(rollup: Rollup) -> list[pl.DataFrame]:
    return [rollup.read(name).sort(pl.all()) for name in SCHEMAS]


def equal(a: Rollup, b: Rollup) -> bool:
    return all(x.equals(y) for x, y in zip(content(a), content(b), strict=True))


def folders(at: Path) -> list[tuple[int, int]]:
    return sorted(tuple(int(x) for x in p.name.split("-")) for p in next(at.iterdir()).iterdir())  # type: ignore[misc]


def test_merging_changes_no_figure_and_leaves_few_segments(tmp_path: Path) -> None:
    log, whole, parts = log_of(90), Rollup(tmp_path / "whole"), Rollup(tmp_path / "parts")
    whole.update(log)
    parts.update(log, step=1)
    assert folders(tmp_path / "whole") == [(0, 90)]
    found = folders(tmp_path / "parts")
    assert len(found) <= 9
    assert [end for _, end in found[:-1]] == [first for first, _ in found[1:]]
    assert equal(whole, parts)


def test_a_damaged_segment_is_thrown_away_and_made_again(tmp_path: Path) -> None:
    log = log_of(40)
    Rollup(tmp_path / "a").update(log, step=15)
    _, (first, end), *_ = folders(tmp_path / "a")
    broken = next((tmp_path / "a").iterdir()) / f"{first}-{end}"
    (broken / "days.parquet").write_bytes(b"PAR1")
    again, whole = Rollup(tmp_path / "a"), Rollup(tmp_path / "b")
    assert again.end == first
    assert not broken.exists()
    again.update(log)
    whole.update(log)
    assert equal(again, whole)


def test_what_is_beyond_the_end_of_the_log_is_thrown_away(tmp_path: Path) -> None:
    rollup, whole = Rollup(tmp_path / "a"), Rollup(tmp_path / "b")
    rollup.update(log_of(50), step=20)
    shorter = log_of(25)  # the log came back from a backup
    rollup.update(shorter)
    whole.update(shorter)
    assert rollup.end == 25
    assert equal(rollup, whole)


def test_a_segment_that_a_longer_one_holds_is_not_counted_twice(tmp_path: Path) -> None:
    log, a = log_of(60), Rollup(tmp_path / "a")
    a.update(log, upto=30)
    Rollup(tmp_path / "b").update(log, upto=20)
    a_folder, b_folder = (next((tmp_path / x).iterdir()) for x in "ab")
    shutil.copytree(b_folder / "0-20", a_folder / "0-20")
    a.update(log)
    whole = Rollup(tmp_path / "whole")
    whole.update(log)
    assert equal(a, whole)


def test_a_writer_that_finds_its_segment_there_leaves_it(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()}
    segments.write(0, 5, tables)
    segments.write(0, 5, tables)
    assert [p.name for p in tmp_path.iterdir()] == ["0-5"]


def test_what_a_killed_writer_left_is_swept_away_after_an_hour(tmp_path: Path) -> None:
    rollup = Rollup(tmp_path)
    rollup.update(log_of(5))
    folder = next(tmp_path.iterdir())
    for name, age_s in ((".new-old", 7200), (".new-now", 0)):
        (folder / name).mkdir()
        then = (folder / "0-5").stat().st_mtime - age_s
        os.utime(folder / name, (then, then))
    rollup.update(log_of(40), step=3)
    assert {p.name for p in folder.glob(".new-*")} == {".new-now"}


def test_threads_that_update_and_read_together_agree(tmp_path: Path) -> None:
    log, seen, errors = log_of(400), [], []

    def work() -> None:
        try:
            rollup = Rollup(tmp_path / "shared")
            rollup.update(log, step=29)
            seen.append(int(rollup.read("days")["clicks"].sum()))
        except Exception as e:  # a failed thread must fail the test
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert seen == [400] * 3


_WRITER = """
import sys
from pathlib import Path
from feedmill.log.sqlite import SqliteLog
from feedmill.metrics.rollup.rollup import Rollup
log, rollup = SqliteLog(Path(sys.argv[1]) / "log.sqlite"), Rollup(Path(sys.argv[1]) / "rollups")
for upto in range(5, log.end + 1, 5):
    rollup.update(log, upto=upto)
    print(upto, flush=True)
"""


@pytest.mark.slow
def test_an_update_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append(events(2000))
    src = str(Path(__file__).parents[3] / "src")
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": src},
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 25:
            writer.kill()
            break
    writer.wait()
    writer.stdout.close()
    rollup, whole = Rollup(tmp_path / "rollups"), Rollup(tmp_path / "whole")
    assert 25 <= rollup.end < 2000
    rollup.update(log)
    whole.update(log)
    log.close()
    assert equal(rollup, whole)
