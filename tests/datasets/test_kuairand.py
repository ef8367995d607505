"""KuaiRand as events, on small files in its schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from contracts.test_dataset import SHOWN, kuairand
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.kuairand import KuaiRand


def test_a_row_is_an_impression_and_all_that_came_of_it(tmp_path: Path) -> None:
    events = EventBatch.concat(kuairand(tmp_path).events())
    found = [events.numpy(c).tolist() for c in ("time_ms", "user_id", "item_id", "kind")]
    at, end = 1_650_582_000_000, 1_650_582_019_000
    assert list(zip(*found, strict=True)) == [
        (1_649_380_000_000, "5", "13", Kind.IMPRESSION),
        (1_649_380_000_700, "5", "13", Kind.WATCH),
        (at, "0", "11", Kind.IMPRESSION),
        (at, "0", "12", Kind.IMPRESSION),
        (at, "0", "12", Kind.DISLIKE),  # played for 0 ms: no watch
        (at + 1000, "5", "11", Kind.IMPRESSION),
        (at + 1000, "5", "11", Kind.CLICK),
        (at + 1000, "5", "11", Kind.WATCH),  # clicked, and played for 0 ms
        *((end, "0", "11", kind) for kind in (Kind.CLICK, Kind.LIKE, Kind.SHARE, Kind.COMMENT, Kind.FOLLOW)),
        (end, "0", "11", Kind.WATCH),
        (end, "0", "11", Kind.FINISH),
        (1_650_670_000_000, "0", "14", Kind.IMPRESSION),
        (1_650_670_002_000, "0", "14", Kind.WATCH),
    ]
    seconds = events.numpy("value")[events.numpy("kind") == Kind.WATCH]
    np.testing.assert_allclose(seconds, [0.7, 0, 19, 2])


def test_videos_shown_at_random_can_be_left_out(tmp_path: Path) -> None:
    kuairand(tmp_path)
    alone = KuaiRand(tmp_path, is_random=False)
    assert "14" not in EventBatch.concat(alone.events()).numpy("item_id")
    assert alone.source() != KuaiRand(tmp_path).source()


def test_videos_are_described(tmp_path: Path) -> None:
    items = kuairand(tmp_path).items()
    assert dict(zip(items.numpy("item_id"), map(orjson.loads, items.numpy("payload")), strict=True)) == {
        "11": {
            "author_id": "70",
            "video_type": "NORMAL",
            "upload_type": "LongImport",
            "music_type": "9.0",
            "duration_s": 19.0,  # as the log says
            "topics": ["39"],
            "publish_ms": 1_649_520_000_000,
        },
        "12": {"duration_s": 5.0},
        "13": {
            "author_id": "71",
            "video_type": "AD",
            "duration_s": 87.433,  # the log does not know
            "topics": ["2", "68"],
            "publish_ms": 1_649_433_600_000,
        },
        "14": {"duration_s": 8.0},
        "15": {"author_id": "71", "video_type": "NORMAL", "upload_type": "Web", "music_type": "4.0"},
    }


def test_users_have_categories(tmp_path: Path) -> None:
    assert [orjson.loads(p) for p in kuairand(tmp_path).users().numpy("payload")] == [
        {"user_active_degree": "full_active", "register_days_range": "730+", "onehot_feat0": "1"},
        {"is_live_streamer": "1", "register_days_range": "8-14", "onehot_feat0": "0", "onehot_feat12": "1.0"},
    ]


def test_missing_and_wrong_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a folder"):
        KuaiRand()
    with pytest.raises(DataError, match="no log_standard"):
        KuaiRand(tmp_path)
    path = tmp_path / "log_standard_4_08_to_4_21_1k.csv"
    path.write_text(SHOWN.replace("play_time_ms", "play_time") + "0,1,20220422,700,1,0,0,0,0,0,0,0,1,1,0,0,0,0,1\n")
    with pytest.raises(DataError, match='no column "play_time_ms"'):
        KuaiRand(tmp_path)
    path.write_text(SHOWN)
    with pytest.raises(DataError, match="without rows"):
        KuaiRand(tmp_path)


@pytest.mark.data
def test_the_real_tables_of_users_and_videos(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "kuairand_pure_features"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    for path in folder.glob("*.csv"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "log_standard_4_08_to_4_21_pure.csv").write_text(
        f"{SHOWN}0,1,20220408,900,1649380000000,0,0,0,0,0,0,0,700,0,0,0,0,0,1\n"
    )
    data = KuaiRand(tmp_path)
    assert (len(data.users()), len(data.items())) == (27_285, 7_583)
    known = [orjson.loads(p) for p in data.items().numpy("payload")]
    assert sum("duration_s" in k for k in known) == 7_583 - 239
    assert sum(len(k.get("topics", [])) > 1 for k in known) == 1_791
