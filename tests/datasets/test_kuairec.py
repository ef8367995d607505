"""KuaiRec as events, on small files in its schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from contracts.test_dataset import kuairec
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.kuairec import KuaiRec, KuaiRecSmall

AT = 1_593_878_903_438


def test_a_view_is_an_impression_a_watch_and_perhaps_a_finish(tmp_path: Path) -> None:
    events = EventBatch.concat(kuairec(tmp_path).events())
    found = [events.numpy(c).tolist() for c in ("time_ms", "user_id", "item_id", "kind")]
    assert list(zip(*found, strict=True)) == [
        (AT, "0", "2", Kind.IMPRESSION),
        (AT, "0", "3650", Kind.IMPRESSION),
        (AT, "7", "3650", Kind.IMPRESSION),  # played for 0 ms: nothing came of it
        (AT + 1500, "0", "2", Kind.WATCH),
        (AT + 13_838, "0", "3650", Kind.WATCH),  # watch_ratio 1.27
        (AT + 13_838, "0", "3650", Kind.FINISH),
    ]
    np.testing.assert_allclose(events.numpy("value"), [1, 1, 1, 1.5, 13.838, 1])


def test_videos_are_described_by_what_does_not_change(tmp_path: Path) -> None:
    items = kuairec(tmp_path).items()
    assert dict(zip(items.numpy("item_id"), map(orjson.loads, items.numpy("payload")), strict=True)) == {
        "2": {"topics": ["8"]},
        "3650": {
            "author_id": "3309",
            "video_type": "NORMAL",
            "upload_type": "ShortImport",
            "music_id": "3350323409",
            "video_tag_id": "841",
            "duration_s": 10.867,
            "topics": ["27", "9"],
            "publish_ms": 1_585_497_600_000,  # 2020-03-30 in Beijing
        },
        "4000": {"topics": ["1"]},
    }


def test_users_have_categories(tmp_path: Path) -> None:
    users = kuairec(tmp_path).users()
    assert dict(zip(users.numpy("user_id"), map(orjson.loads, users.numpy("payload")), strict=True)) == {
        "0": {
            "user_active_degree": "high_active",
            "is_live_streamer": "0",
            "follow_user_num_range": "(0,10]",
            "onehot_feat0": "0",
        },
        "7": {"is_live_streamer": "1", "follow_user_num_range": "0", "onehot_feat0": "1", "onehot_feat4": "13.0"},
        "8": {
            "user_active_degree": "full_active",
            "is_live_streamer": "0",
            "follow_user_num_range": "(0,10]",
            "onehot_feat0": "0",
            "onehot_feat4": "2.0",
        },
    }


def test_views_without_a_time_are_rejected(tmp_path: Path) -> None:
    (reject,) = KuaiRecSmall(_small(tmp_path)).rejects()
    assert (reject.line, reject.reason) == (5, "timestamp is missing or no time")
    assert '"video_id":"3"' in reject.row


def _small(folder: Path) -> Path:
    kuairec(folder, KuaiRecSmall)
    return folder


def test_the_matrices_are_two_sources(tmp_path: Path) -> None:
    of_files = kuairec(tmp_path)
    (tmp_path / "user_features.csv").unlink()
    (tmp_path / "item_categories.csv").unlink()
    (tmp_path / "item_daily_features.csv").unlink()
    alone = KuaiRec(tmp_path)
    assert isinstance(of_files, KuaiRec)
    assert of_files.source() != alone.source()
    assert len(alone.users()) == 0
    assert [orjson.loads(p) for p in alone.items().numpy("payload")] == [{}, {"duration_s": 10.867}]
    with pytest.raises(DataError, match=r"no file .*small_matrix\.csv"):
        KuaiRecSmall(tmp_path)


def test_missing_and_wrong_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="kuairec-small without a folder"):
        KuaiRecSmall()
    with pytest.raises(DataError, match=r"no file .*big_matrix\.csv"):
        KuaiRec(tmp_path)
    kuairec(tmp_path)
    (tmp_path / "item_categories.csv").write_text("video_id,tags\n2,[8]\n")
    with pytest.raises(DataError, match='no column "feat"'):
        KuaiRec(tmp_path)
