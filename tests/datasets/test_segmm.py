"""SegMM as events: on a small file in its schema, and on the published sample where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from contracts import dataset as suite
from contracts.test_dataset import segmm
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.segmm import START_MS, SegMM


def test_a_view_is_an_impression_a_watch_and_perhaps_a_finish(tmp_path: Path) -> None:
    events = EventBatch.concat(segmm(tmp_path).events())
    found = [events.numpy(c).tolist() for c in ("time_ms", "user_id", "item_id", "kind")]
    at = START_MS + 205_739_830
    assert list(zip(*found, strict=True)) == [
        (at - 1, "2", "9", Kind.IMPRESSION),
        (at, "1", "9", Kind.IMPRESSION),
        (at, "1", "30", Kind.IMPRESSION),
        (at + 1623, "1", "30", Kind.WATCH),
        (at + 10_000, "1", "9", Kind.WATCH),
        (at + 10_000, "1", "9", Kind.FINISH),
        (at + 21_499, "2", "9", Kind.WATCH),
        (at + 21_499, "2", "9", Kind.FINISH),
    ]
    np.testing.assert_allclose(events.numpy("value"), [1, 1, 1, 1.623, 10, 1, 21.5, 1])


def test_videos_have_durations_and_users_nothing(tmp_path: Path) -> None:
    items = segmm(tmp_path).items()
    assert dict(zip(items.numpy("item_id"), map(orjson.loads, items.numpy("payload")), strict=True)) == {
        "9": {"duration_s": 10.0},
        "30": {"duration_s": 32.366},
    }
    assert len(segmm(tmp_path).users()) == 0


def test_a_file_will_do_and_times_of_its_own_stay(tmp_path: Path) -> None:
    segmm(tmp_path)
    path = tmp_path / "SegMM_inter_sample.csv"
    assert SegMM(path).source() == SegMM(tmp_path).source()
    path.write_text("user_id,video_id,time_ms,duration_ms,playing_time\n1,2,1684742000000,5000,1000\n")
    assert next(SegMM(path).events()).numpy("time_ms").tolist() == [1_684_742_000_000, 1_684_742_001_000]


def test_rows_that_are_none_are_rejected(tmp_path: Path) -> None:
    segmm(tmp_path)
    (reject,) = SegMM(tmp_path).rejects()
    assert (reject.line, reject.reason) == (5, "time_ms is missing or no time")


def test_missing_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a folder"):
        SegMM()
    with pytest.raises(DataError, match="no SegMM_inter"):
        SegMM(tmp_path)


@pytest.mark.data
def test_the_published_sample(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "segmm_sample"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    suite.check_every_event_is_valid(lambda: SegMM(folder), tmp_path)
    suite.check_events_come_in_order_of_time(lambda: SegMM(folder), tmp_path)
    events = EventBatch.concat(SegMM(folder).events())
    kinds, n = np.unique(events.numpy("kind"), return_counts=True)
    assert dict(zip(kinds.tolist(), n.tolist(), strict=True)) == {
        Kind.IMPRESSION: 10_000,
        Kind.WATCH: 10_000,
        Kind.FINISH: 3_331,
    }
    seconds = events.numpy("value")[events.numpy("kind") == Kind.WATCH]
    assert float(seconds.mean()) == pytest.approx(18.83, abs=0.01)
    assert float(np.median(seconds)) == pytest.approx(9.49, abs=0.01)
    assert len(SegMM(folder).items()) == 9_123
    assert list(SegMM(folder).rejects()) == []
