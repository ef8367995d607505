"""KuaiRand: views of short videos on Kuaishou with every kind of feedback, some of videos shown at random.

Chongming Gao et al., KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos, CIKM 2022,
arXiv 2208.08696.
"""

from __future__ import annotations

from pathlib import Path

from feedmill.core.errors import DataError
from feedmill.core.events import Kind
from feedmill.datasets.source import digest
from feedmill.datasets.views import USER_TEXTS, Attributes, ViewColumns, ViewLog, Views, day_ms, files_of, texts_of

LICENCE = "KuaiRand, CC BY-SA 4.0: cite Gao et al., CIKM 2022 (https://doi.org/10.1145/3511808.3557624)"
STANDARD, RANDOM, USERS, VIDEOS = (
    "log_standard_*.csv",
    "log_random_*.csv",
    "user_features_*.csv",
    "video_features_basic_*.csv",
)
COLUMNS = ViewColumns(
    time="time_ms",
    played_ms="play_time_ms",
    duration_ms="duration_ms",
    flags={
        "is_click": Kind.CLICK,
        "is_like": Kind.LIKE,
        "is_follow": Kind.FOLLOW,
        "is_comment": Kind.COMMENT,
        "is_forward": Kind.SHARE,
        "is_hate": Kind.DISLIKE,
    },
)
VIDEO_TEXTS = ("author_id", "video_type", "upload_type", "music_type")
_FORMAT = "1"  # part of the source: raise it when the same files would give other events


class KuaiRand(ViewLog):
    """Pure, 1K or 27K: impressions with seconds watched, finishes, clicks, likes, follows, comments, shares, dislikes.

    ``is_click`` is a click where videos stand in two columns, and a play of more than seven seconds or of the whole
    video elsewhere, so it becomes known when the playing ends, as all feedback does here. ``long_view`` follows from
    the seconds; visits of an author's profile, the time spent there and among comments, and the scenario (``tab``) have
    no event. The statistics of videos are not read: they count days that come after most of the log. Users and videos
    may come without their tables. All of the log is held in memory: 27K is too much for most machines.

    Args:
        folder: of log_standard_*.csv, log_random_*.csv, user_features_*.csv and video_features_basic_*.csv, or one that
            has them in its folder "data".
        is_random: whether to read the log of videos shown at random too, which is a log of its own.

    Raises:
        DataError: there is no log, or a file cannot be read.
    """

    name = "kuairand"
    licence = LICENCE

    def __init__(self, folder: Path | None = None, is_random: bool = True) -> None:
        if folder is None:
            raise DataError(
                "kuairand without a folder",
                f"a folder of {STANDARD}",
                "take it from https://kuairand.com and name its folder",
            )
        logs = files_of(folder, STANDARD, *((RANDOM,) if is_random else ()))
        if not logs:
            raise DataError(f"no {STANDARD} in {folder}", "the logs of KuaiRand", "check the path")
        users, videos = files_of(folder, USERS), files_of(folder, VIDEOS)
        self._source = digest([*logs, *users, *videos], _FORMAT, f"{len(logs)}/{len(users)}/{len(videos)}")
        self._views = Views(logs, COLUMNS)
        self._users = {k: v for path in users[::-1] for k, v in texts_of(path, "user_id", USER_TEXTS).items()}
        self._items = _items(self._views.durations(), videos)


def _items(durations: dict[int, float], tables: list[Path]) -> dict[int, Attributes]:
    """What is known of each video of the log or the tables, by id ascending; of two durations the log's."""
    names = (*VIDEO_TEXTS, "upload_dt", "video_duration", "tag")
    texts = {k: v for path in tables[::-1] for k, v in texts_of(path, "video_id", names).items()}
    known: dict[int, Attributes] = {}
    for item in sorted({*durations, *texts}):
        about: Attributes = dict(texts.get(item, {}))
        uploaded, in_table, tag = (about.pop(name, None) for name in ("upload_dt", "video_duration", "tag"))
        seconds = durations.get(item, float("nan"))
        seconds = seconds if seconds == seconds else _seconds(in_table)
        known[item] = about | {
            "duration_s": seconds if seconds > 0 else None,
            "topics": [part.strip() for part in (tag or "").split(",") if part.strip()],
            "publish_ms": day_ms(uploaded),
        }
    return known


def _seconds(milliseconds: str | None) -> float:
    """Of a text; NaN where it is none."""
    try:
        return float(milliseconds or "nan") / 1000
    except ValueError:
        return float("nan")
