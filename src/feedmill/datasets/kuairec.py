"""KuaiRec: views of short videos on Kuaishou, in the schema of its version 2.

Chongming Gao et al., KuaiRec: A Fully-Observed Dataset and Insights for Evaluating Recommender Systems, CIKM 2022.
"""

from __future__ import annotations

from pathlib import Path

from feedmill.core.errors import DataError
from feedmill.datasets.source import digest
from feedmill.datasets.views import (
    USER_TEXTS,
    Attributes,
    ViewColumns,
    ViewLog,
    Views,
    day_ms,
    files_of,
    read,
    texts_of,
)

LICENCE = "KuaiRec, CC BY-SA 4.0: cite Gao et al., CIKM 2022 (https://doi.org/10.1145/3511808.3557220)"
COLUMNS = ViewColumns(time="timestamp", played_ms="play_duration", duration_ms="video_duration", to_ms=1000.0)
USERS, CATEGORIES, DAILY = "user_features.csv", "item_categories.csv", "item_daily_features.csv"
DAILY_TEXTS = ("author_id", "upload_dt", "video_type", "upload_type", "music_id", "video_tag_id")
_FORMAT = "1"  # part of the source: raise it when the same files would give other events


class KuaiRec(ViewLog):
    """The big matrix: 12,530,806 views of 7,176 users, impressions with seconds watched and finishes.

    There are no clicks, likes or other feedback in it. Of videos it reads topics (``item_categories``) and what does
    not change from day to day (``item_daily_features``: author, day of upload, kinds, music, tag). The daily counts are
    not read: they count the whole app, and the day that they were counted on had not ended when a video was shown. Nor
    are friendships (``social_network``), for which there is no event. All these files may be missing.

    Args:
        folder: of big_matrix.csv and the other files, or one that has them in its folder "data".

    Raises:
        DataError: the matrix is missing, or a file cannot be read.
    """

    name = "kuairec"
    licence = LICENCE
    matrix = "big_matrix.csv"

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            raise DataError(
                f"{self.name} without a folder",
                f"a folder of {self.matrix} and the other files of KuaiRec",
                "take it from https://kuairec.com and name its folder",
            )
        log = files_of(folder, self.matrix)
        if not log:
            raise DataError(f"no file {folder / self.matrix}", "a folder of KuaiRec 2.0", "check the path")
        beside = [path for name in (USERS, CATEGORIES, DAILY) if (path := log[0].parent / name).is_file()]
        self._source = digest([*log, *beside], _FORMAT, *(path.name for path in beside))
        self._views = Views(log, COLUMNS)
        files = {path.name: path for path in beside}
        self._users = texts_of(files[USERS], "user_id", USER_TEXTS) if USERS in files else {}
        self._items = _items(self._views.durations(), files.get(CATEGORIES), files.get(DAILY))


class KuaiRecSmall(KuaiRec):
    """The small matrix: 1,411 users who were shown nearly every one of 3,327 videos; none of these views is in the big.

    What was shown was chosen by those who made the data, so its impressions say little of a feed.
    """

    name = "kuairec-small"
    matrix = "small_matrix.csv"


def _items(durations: dict[int, float], categories: Path | None, daily: Path | None) -> dict[int, Attributes]:
    """What is known of each video that is in any of the files, by id ascending."""
    topics = {}
    if categories:
        read(categories, ["video_id", "feat"])
        feats = texts_of(categories, "video_id", ["feat"])
        topics = {item: _list(texts["feat"]) for item, texts in feats.items()}
    texts = texts_of(daily, "video_id", DAILY_TEXTS) if daily else {}
    known: dict[int, Attributes] = {}
    for item in sorted({*durations, *topics, *texts}):
        about: Attributes = dict(texts.get(item, {}))
        seconds = durations.get(item, float("nan"))
        uploaded = about.pop("upload_dt", None)
        known[item] = about | {
            "duration_s": seconds if seconds == seconds else None,
            "topics": topics.get(item, []),
            "publish_ms": day_ms(uploaded),
        }
    return known


def _list(text: str | None) -> list[str]:
    """What stands in "[27, 9]"."""
    return [part.strip() for part in (text or "").strip("[] ").split(",") if part.strip()]
