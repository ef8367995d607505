"""An ingest loses nothing and doubles nothing, whatever is in the file and wherever it is interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.clock import FixedClock
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Receipt
from feedmill.datasets import ingest as ingest_module
from feedmill.datasets.ingest import ingest
from feedmill.datasets.mapping import MappedDataset
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog

NOW_MS = 1_700_000_000_000
GOOD = st.integers(1_500_000_000_000, NOW_MS).map(lambda t: f'{{"user_id":"u","item_id":"i{t % 7}","time_ms":{t}}}')
BAD = st.sampled_from(
    [
        '{"user_id":"u","item_id":"i","time_ms":5}',
        '{"user_id":"u","item_id":"i","time_ms":9999999999999}',
        '{"item_id":"i","time_ms":1600000000000}',
        '{"user_id":"u","item_id":"i"}',
        '{"user_id":"u",',
        "7",
        "\\x00",
    ]
)


def rejected(path: Path | None) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path else []


def times(log: MemoryLog) -> list[int]:
    found: list[int] = log.read(0)[0].numpy("time_ms").tolist()
    return found


@settings(max_examples=25)
@given(good=st.lists(GOOD, min_size=1, max_size=30), bad=st.lists(BAD, max_size=15), random=st.randoms())
def test_every_row_is_in_the_log_or_in_the_rejects(
    tmp_path_factory: pytest.TempPathFactory, good: list[str], bad: list[str], random: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = [*good, *bad]
    random.shuffle(rows)
    (folder / "log.jsonl").write_text("\n".join(rows))
    log = MemoryLog()
    report = ingest(MappedDataset(folder / "log.jsonl", clock=FixedClock(NOW_MS)), log, folder / "rejects", NOW_MS)
    assert (report.n_events, report.n_duplicate, report.n_rejected) == (len(good), 0, len(bad))
    assert times(log) == sorted(orjson.loads(row)["time_ms"] for row in good)
    found = rejected(report.rejects)
    assert sorted(reject["line"] for reject in found) == [n for n, row in enumerate(rows, start=1) if row in bad]
    for reject in found:
        original = rows[reject["line"] - 1]
        assert reject["row"] in (original, _as_text(original))
    assert sum(report.reasons.values()) == len(bad)

    again = ingest(MappedDataset(folder / "log.jsonl", clock=FixedClock(NOW_MS)), log, folder / "rejects", NOW_MS)
    assert (again.n_events, again.n_duplicate, again.n_rejected) == (0, len(good), len(bad))
    assert log.end == len(good)
    assert rejected(again.rejects) == found


def _as_text(row: str) -> dict[str, str] | None:
    """The row as a reject has it: every value as text."""
    try:
        return {k: str(v) for k, v in orjson.loads(row).items()}
    except (ValueError, AttributeError):
        return None


class Breaking(MemoryLog):
    """A log that refuses the n-th append."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def append(self, batch: EventBatch) -> Receipt:
        self.left -= 1
        if self.left == 0:
            raise LogError("full")
        return super().append(batch)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_an_interrupted_ingest_is_finished_by_the_next(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_ROWS", 3)
    rows = [{"user_id": "u", "item_id": f"i{k}", "time_ms": 1_600_000_000_000 + k} for k in range(10)]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    log = Breaking(n)

    def run() -> Any:
        return ingest(MappedDataset(tmp_path / "log.jsonl", clock=FixedClock(NOW_MS)), log, tmp_path, NOW_MS)

    with pytest.raises(LogError, match="full"):
        run()
    assert log.end == 3 * (n - 1)
    report = run()
    assert (report.n_events, report.n_duplicate) == (10 - 3 * (n - 1), 3 * (n - 1))
    assert times(log) == [row["time_ms"] for row in rows]


def test_rows_that_were_in_the_future_come_when_their_time_has(tmp_path: Path) -> None:
    day = 86_400_000
    rows = [{"user_id": "u", "item_id": "i", "time_ms": NOW_MS + d * day} for d in (3, -1, 0, 2)]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    log = MemoryLog()
    reports = [
        ingest(MappedDataset(tmp_path / "log.jsonl", clock=FixedClock(now)), log, tmp_path / "rejects", now)
        for now in (NOW_MS, NOW_MS + 2 * day, NOW_MS + 2 * day)
    ]
    assert [(r.n_events, r.n_duplicate, r.n_rejected) for r in reports] == [(2, 0, 2), (2, 2, 0), (0, 4, 0)]
    assert times(log) == sorted(times(log))
    assert list((tmp_path / "rejects").iterdir()) == []  # nothing is rejected any more


def test_the_report_counts_by_rule_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,time_ms\nu,i,1600000000000\nu,i,7\nu,i,8\nu,i\nu,,1600000000000\n"
    )
    report = ingest(MappedDataset(tmp_path / "log.csv", clock=FixedClock(NOW_MS)), MemoryLog(), tmp_path / "r", NOW_MS)
    assert report.reasons == {
        "time is before 1971 (is it in seconds?)": 2,
        "item_id is missing": 1,
        "wrong number of fields": 1,
    }
    assert report.rejects is not None
    assert report.rejects.parent == tmp_path / "r"
    assert report.rejects.name.startswith("log.csv-")
    found = {r["line"]: r["row"] for r in rejected(report.rejects)}
    assert found[3] == {"user_id": "u", "item_id": "i", "time_ms": "7"}
    assert found[5] == "u,i"
    assert set(found) == {3, 4, 5, 6}


class Plain:
    """A dataset that knows nothing of sources and rejects, with one bad event among its own."""

    name, licence = "plain", ""

    def events(self) -> Iterator[EventBatch]:
        for first in (0, 3):
            ids = [f"i{first + k}" for k in range(3)]
            yield EventBatch.of(
                {"time_ms": 1_600_000_000_000, "kind": 7, "user_id": "u", "item_id": ids, "value": [1, -1, 2]}
            )

    def items(self) -> EventBatch:
        return EventBatch.of({"time_ms": 1_600_000_000_000, "kind": 20, "item_id": ["i0", "i2"], "payload": "{}"})

    def users(self) -> EventBatch:
        return EventBatch.empty()


def test_any_dataset_can_be_ingested_and_is_checked(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    report = ingest(Plain(), log, tmp_path / "rejects", NOW_MS)
    assert (report.n_events, report.n_rejected, report.n_undescribed) == (6, 2, 2)
    assert report.reasons == {"watched seconds are negative": 2}
    assert [r["row"]["item_id"] for r in rejected(report.rejects)] == ["i1", "i4"]
    assert log.read(0)[0].numpy("item_id").tolist() == ["i0", "i2", "i0", "i2", "i3", "i5"]
    assert log.read(0)[0].numpy("kind").tolist() == [Kind.ITEM] * 2 + [Kind.WATCH] * 4
    again = ingest(Plain(), log, tmp_path / "rejects", NOW_MS)
    assert (again.n_events, again.n_duplicate, again.n_undescribed) == (0, 6, 2)
    log.close()


def test_a_file_that_cannot_be_used_leaves_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,i\n")
    log = MemoryLog()
    with pytest.raises(Exception, match='no column "user_id"'):
        ingest(MappedDataset(tmp_path / "log.csv"), log, tmp_path, NOW_MS)
    assert log.end == 0


def test_progress_is_told_of_every_event(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    @contextmanager
    def progress(what: str) -> Iterator[Any]:
        yield lambda n: seen.update({what: n})

    ingest(Plain(), MemoryLog(), tmp_path, NOW_MS, progress)
    assert seen == {"items": 2, "events": 6, "users": 0}
