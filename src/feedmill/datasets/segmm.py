"""SegMM: views of short videos on Kuaishou with the milliseconds that each was played.

Zhiyu He et al., Short Video Segment-level User Dynamic Interests Modeling in Personalized Recommendation, SIGIR 2025,
arXiv 2504.04237.
"""

from __future__ import annotations

from pathlib import Path

from feedmill.core.errors import DataError
from feedmill.datasets.check import EARLIEST_MS
from feedmill.datasets.source import digest
from feedmill.datasets.views import ViewColumns, ViewLog, Views, files_of

LICENCE = "SegMM by its authors, as published: cite He et al., SIGIR 2025 (arXiv 2504.04237)"
START_MS = 1_704_067_200_000  # 2024-01-01 UTC
COLUMNS = ViewColumns(time="time_ms", played_ms="playing_time", duration_ms="duration_ms")
_FORMAT = "1"  # part of the source: raise it when the same files would give other events


class SegMM(ViewLog):
    """Views of short videos: impressions, seconds watched, and finishes. Nothing else is known of users and videos.

    Times in the published sample count from a moment that it does not name; they are taken to count from 2024-01-01
    UTC, so the hour of the day is right up to an unknown shift. Which segments were seen (``label_1D``) is not read:
    it says no more than the playing time.

    Args:
        folder: of SegMM_inter*.csv, or such a file: user_id, video_id, time_ms, duration_ms, playing_time.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """

    name = "segmm"
    licence = LICENCE

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            raise DataError("segmm without a folder", "a folder of SegMM_inter*.csv", "name it")
        files = [folder] if folder.is_file() else files_of(folder, "SegMM_inter*.csv")
        if not files:
            raise DataError(f"no SegMM_inter*.csv in {folder}", "the interactions of SegMM", "check the path")
        self._source = digest(files, _FORMAT)
        self._views = Views(files, COLUMNS)
        if self._views.first_ms < EARLIEST_MS:
            self._views = Views(files, COLUMNS, START_MS)
        lasts = self._views.durations()
        self._items = {item: {"duration_s": s if s == s else None} for item, s in lasts.items()}
        self._users = {}
