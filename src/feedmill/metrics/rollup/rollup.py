"""Sums over the log by user and day, kept up to date: what business metrics and experiments read."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from feedmill.core.errors import ConfigError, WorkspaceError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.metrics.rollup.columns import merged
from feedmill.metrics.rollup.fold import Known, fold, goes_on, whole
from feedmill.metrics.rollup.segments import Segments

VERSION = 1  # of the tables: raised when what they hold changes, and then they are made anew
STEP = 1 << 19  # events at a time
_TRIES = 5


class Rollup:
    """Tables folded from the log: ``update`` reads what is new, the others read the tables.

    Any number of processes may read and update one folder. A reader sees a prefix of the log: [0, ``end``).

    Args:
        folder: of all rollups of a workspace; made when it is first written to.
        timezone: IANA name, whose midnights divide the days.

    Raises:
        ConfigError: there is no such time zone.
    """

    def __init__(self, folder: Path, timezone: str = "UTC") -> None:
        try:
            ZoneInfo(timezone)
            pl.select(pl.lit(0).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(timezone))
        except (KeyError, ValueError, OSError, pl.exceptions.PolarsError):
            raise ConfigError(
                f"timezone = {timezone!r}", 'the IANA name of a time zone, such as "Europe/Berlin"'
            ) from None
        self.timezone = timezone
        slug = re.sub(r"[^A-Za-z0-9+_-]+", "-", timezone).lower()
        self._segments = Segments(folder / f"v{VERSION}-{slug}")

    @property
    def end(self) -> int:
        """The offset after the last event that the tables count."""
        cover = self._segments.cover()
        return cover[-1].end if cover else 0

    def update(self, log: EventLog, upto: int | None = None, step: int = STEP) -> int:
        """Fold what the log has beyond ``end`` (up to offset ``upto``); the number of events read.

        However often and to wherever it is called, the tables of [0, end) are the same.

        Raises:
            LogError: the log cannot be read.
            WorkspaceError: the folder cannot be written to.
        """
        at = start = self._resume(log)
        end = log.end if upto is None else min(upto, log.end)
        if self.end >= end:
            return 0
        before = pl.col("offset") < at  # another process may be further on
        known = Known(self.read("items", before), self.read("exposed", before))
        with progress("business metrics", end - at) as advance:
            while at < end:
                batch, after = log.read(at, min(step, end - at))
                while after < end and not whole(batch):  # all of it is the beginning of one request
                    more, after = log.read(after, min(step, end - after))
                    batch = EventBatch.concat([batch, more])
                cut = whole(batch)
                for piece in (batch[:cut], batch[cut:] if after >= end else batch[:0]):
                    if len(piece):
                        known = self._fold(piece, at, known)
                        at += len(piece)
                        advance(len(piece))
                self._segments.compact()
        return at - start

    def _fold(self, batch: EventBatch, at: int, known: Known) -> Known:
        tables = fold(batch, at, known, self.timezone)
        self._segments.write(at, at + len(batch), tables)
        return known.after(tables)

    def read(self, table: str, where: pl.Expr | None = None) -> pl.DataFrame:
        """One table summed over its segments, only the rows ``where``.

        - days: user_id, day -> ``columns.COLUMNS``.
        - tried: experiment, user_id, day -> the same, of events from the user's first exposure on, in log order.
        - exposed: experiment, user_id, arm, day -> offset and time_ms of the day's first exposure to that arm.
        - shown: experiment, arm, day, item_id -> impressions, new_impressions; of everybody (experiment and arm "") by
          day, of arms with ``day`` null.
        - items: versions of items in log order: item_id, offset, is_first, author_id, topic, duration_s, publish_ms.

        Raises:
            WorkspaceError: the files cannot be read.
        """
        for _ in range(_TRIES):
            try:
                frame = self._segments.scan(table, self._segments.cover())
                frame = frame if where is None else frame.filter(where)
                return merged(table, frame).collect()
            except (OSError, pl.exceptions.PolarsError) as e:  # merged meanwhile by another process
                error = e
                self._segments = Segments(self._segments.folder)
        raise WorkspaceError(
            f"{self._segments.folder}: {error}", "tables that can be read", "delete the folder; it is made anew"
        )

    def _resume(self, log: EventLog) -> int:
        """Where to go on: after what is folded, or before the last request if it went on since."""
        cover = self._segments.cover()
        log_end = log.end  # read after the segments: they cannot be of events that came later
        while cover and cover[-1].end > log_end:
            self._segments.drop(cover.pop())
        if not cover:
            return 0
        last = cover[-1]
        goes_on_after = last.end < log_end and goes_on(log.read(last.end - 1, 2)[0])
        return last.first if goes_on_after else last.end
