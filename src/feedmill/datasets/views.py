"""Logs of short videos, a row for each video that was shown: who, what, when, how long it lasts, how long it played.

A row is an impression at its time. What came of it is known when the playing ended, so all feedback comes so many
seconds later: a ``watch`` of the seconds played, a ``finish`` where that is no less than the video lasts (a replay is
one watch, longer than the video), and what the row's flags say. A row that played for 0 seconds and has no feedback
but dislike is no watch. Rows of one user and time are one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.describe import payload
from feedmill.datasets.rows import row_json
from feedmill.datasets.source import Reject

BATCH_ROWS = 65_536
BEIJING = timezone(timedelta(hours=8))
USER_TEXTS = (  # what the user tables of KuaiRec and KuaiRand have as categories; the plain counts say what ranges say
    "user_active_degree", "is_lowactive_period", "is_live_streamer", "is_video_author", "follow_user_num_range",
    "fans_user_num_range", "friend_user_num_range", "register_days_range", *(f"onehot_feat{k}" for k in range(18)),
)  # fmt: skip
Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """What the columns of a log are called.

    Attributes:
        time: of the showing, times ``to_ms`` are milliseconds.
        played_ms, duration_ms: of the playing and of the video; a duration that is missing or 0 is not known.
        flags: column of 0 and 1 -> the kind of feedback that 1 is.
    """

    time: str
    played_ms: str
    duration_ms: str
    user: str = "user_id"
    item: str = "video_id"
    to_ms: float = 1.0
    flags: Mapping[str, Kind] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [self.user, self.item, self.time, self.played_ms, self.duration_ms, *self.flags]


class Views:
    """The rows of one log or several, and what became of those that cannot be events.

    Attributes:
        frame: user and item int64, time_ms int64, played_s and duration_s float64 (NaN = unknown), feedback int32 (bit
            k = flag of kind k); by time, then user, then item.
        rejected: the other rows.
    """

    def __init__(self, files: Iterable[Path], columns: ViewColumns, start_ms: int = 0) -> None:
        read = [_read_views(path, columns, start_ms) for path in files]
        self.frame = pl.concat([frame for frame, _ in read]).sort("time_ms", "user", "item", maintain_order=True)
        self.rejected = [reject for _, rejects in read for reject in rejects]
        if not len(self.frame):
            n = len(self.rejected)
            raise DataError(
                f"no row of the log can be an event, {n:,} cannot" if n else "a log without rows",
                "rows of users, videos and times",
                f"the first that cannot: {self.rejected[0].reason}" if n else "take the files again",
            )

    @property
    def first_ms(self) -> int:
        """The time of the first row."""
        return int(self.frame["time_ms"][0])

    def durations(self) -> dict[int, float]:
        """Seconds that each video lasts, by id ascending; NaN where no row knows. The first row that does counts."""
        known = pl.col("duration_s").filter(pl.col("duration_s").is_not_nan()).first().fill_null(float("nan"))
        found = self.frame.group_by("item").agg(known).sort("item")
        return dict(zip(found["item"].to_list(), found["duration_s"].to_list(), strict=True))

    def events(self, source: str) -> Iterator[EventBatch]:
        """Impressions and feedback in order of time; at one time impressions first, then by row, then by kind."""
        order = self._events().sort("time_ms", pl.col("kind") != int(Kind.IMPRESSION), "row", "kind")
        for start in range(0, len(order), BATCH_ROWS):
            part = order[start : start + BATCH_ROWS]
            rows = self.frame[part["row"]]
            request = pl.concat_str(rows["user"].cast(pl.String), rows["time_ms"].cast(pl.String), separator="/")
            value = pl.when(part["kind"] == int(Kind.WATCH)).then(rows["played_s"]).otherwise(1.0)
            columns = {
                "time_ms": part["time_ms"],
                "kind": part["kind"],
                "user_id": rows["user"].cast(pl.String),
                "item_id": rows["item"].cast(pl.String),
                "value": pl.select(value.cast(pl.Float32)).to_series(),
                "request_id": pl.select(request).to_series(),
            }
            yield EventBatch.of({k: _arrow(v) for k, v in columns.items()}, source=source, source_row=start)

    def _events(self) -> pl.DataFrame:
        """Columns time_ms, row and kind of every event, in no order."""
        rows = self.frame.with_row_index("row")
        played = pl.col("played_s")
        is_whole = (played >= pl.col("duration_s")) & pl.col("duration_s").is_not_nan()
        is_liked = (pl.col("feedback") & ~(1 << Kind.DISLIKE)) > 0
        came_of = {Kind.WATCH: (played > 0) | is_liked, Kind.FINISH: is_whole}
        bits = int(np.bitwise_or.reduce(self.frame["feedback"].unique().to_numpy(), initial=0))
        came_of |= {kind: (pl.col("feedback") & (1 << kind)) > 0 for kind in Kind if bits >> kind & 1}
        end_ms = pl.col("time_ms") + (played * 1000).round().cast(pl.Int64)
        parts = [rows.select("time_ms", "row", kind=pl.lit(int(Kind.IMPRESSION), pl.Int8))]
        parts += [
            rows.filter(where).select(time_ms=end_ms, row="row", kind=pl.lit(int(kind), pl.Int8))
            for kind, where in came_of.items()
        ]
        return pl.concat(parts)


class ViewLog:
    """What the logs of views have in common: a dataset whose ``__init__`` reads them.

    Attributes:
        _source: digest of the files.
        _views: their rows.
        _items, _users: what is known of each, by id ascending.
    """

    _source: str
    _views: Views
    _items: Mapping[int, Attributes]
    _users: Mapping[int, Attributes]

    def events(self) -> Iterator[EventBatch]:
        """See ``datasets.views``."""
        return self._views.events(self._source)

    def items(self) -> EventBatch:
        """An ITEM event for each video, at the time of the first view."""
        return described(Kind.ITEM, self._items, self._views.first_ms, self._source)

    def users(self) -> EventBatch:
        """A USER event for each user of whom something is known, at the time of the first view."""
        return described(Kind.USER, self._users, self._views.first_ms, self._source)

    def source(self) -> str:
        return self._source

    def rejects(self) -> Iterator[Reject]:
        """Rows without a user, video, time or playing time."""
        return iter(self._views.rejected)


def described(kind: Kind, known: Mapping[int, Attributes], time_ms: int, source: str) -> EventBatch:
    """An ITEM or USER event for each of the ids, all at one time."""
    of = "item_id" if kind == Kind.ITEM else "user_id"
    if not known:
        return EventBatch.of({}, source=f"{source}/{kind.name.lower()}s")
    payloads = [payload(attributes) for attributes in known.values()]
    columns = {"time_ms": time_ms, "kind": int(kind), of: [str(n) for n in known], "payload": payloads}
    return EventBatch.of(columns, source=f"{source}/{kind.name.lower()}s")


def texts_of(
    path: Path, key: str, names: Iterable[str], unknown: Iterable[str] = ("", "UNKNOWN", "-124")
) -> dict[int, dict[str, str | None]]:
    """Columns of a table as text by the number in ``key``, ascending; the first row of a number counts.

    Columns that the table does not have are left out, and a text among ``unknown`` is None.

    Raises:
        DataError: the file cannot be read, or has no column ``key``.
    """
    frame = read(path, [key])
    kept = [name for name in names if name in frame.columns]
    frame = frame.with_columns(pl.col(key).cast(pl.Int64, strict=False)).drop_nulls(key).unique(key, keep="first")
    texts = pl.col(kept).str.strip_chars()
    texts = pl.when(texts.is_in(list(unknown))).then(None).otherwise(texts).name.keep()
    rows = frame.sort(key).select(key, texts) if kept else frame.sort(key).select(key)
    return {row[0]: dict(zip(kept, row[1:], strict=True)) for row in rows.iter_rows()}


def read(path: Path, required: Iterable[str]) -> pl.DataFrame:
    """A CSV, every value as text.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    with readable(path):
        frame = pl.read_csv(path, infer_schema=False)
    require(path, frame.columns, required)
    return frame


def require(path: Path, columns: list[str], required: Iterable[str]) -> None:
    """Refuses a table without the columns.

    Raises:
        DataError: with the nearest there is.
    """
    for name in required:
        if name not in columns:
            guess = nearest(name, columns)
            raise DataError(f'{path} has no column "{name}"', f"one of {', '.join(columns)}", guess or "check the file")


def day_ms(text: str | None) -> int | None:
    """Milliseconds of the first moment of a day such as 2022-04-10 in Beijing, where the logs were written; None of
    what is no day."""
    try:
        year, month, day = (int(part) for part in (text or "").split("-"))
        return int(datetime(year, month, day, tzinfo=BEIJING).timestamp() * 1000)
    except ValueError:
        return None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Says which file cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"no file {path}", "a file of the data set", "check the path") from None
    except (pl.exceptions.PolarsError, OSError) as e:
        raise DataError(f"{path} cannot be read: {e}", "a whole, undamaged CSV", "take it again") from e


def files_of(folder: Path, *patterns: str) -> list[Path]:
    """The files of a folder, or of its folder "data", that match, by pattern and then by name."""
    for place in (folder, folder / "data"):
        found = [path for pattern in patterns for path in sorted(place.glob(pattern)) if path.is_file()]
        if found:
            return found
    return []


def _read_views(path: Path, columns: ViewColumns, start_ms: int) -> tuple[pl.DataFrame, list[Reject]]:
    """The good rows of a file in its order, and the others."""
    with readable(path):
        header = pl.read_csv(path, n_rows=0, infer_schema=False).columns
        require(path, header, columns.names())
        numbers = dict.fromkeys(columns.names(), pl.Float64)
        raw = pl.read_csv(path, columns=columns.names(), schema_overrides=numbers, ignore_errors=True)
    reason = raw.select(_reason(columns).alias("reason")).to_series()
    rejects = []
    if reason.null_count() < len(reason):
        texts = read(path, ())
        at = reason.is_not_null().arg_true().to_list()
        rejects = [Reject(path.name, row + 2, str(reason[row]), row_json(texts, row), True) for row in at]
    return raw.filter(reason.is_null()).select(_typed(columns, start_ms)), rejects


def _reason(c: ViewColumns) -> pl.Expr:
    """Why a row cannot be events; null where it can."""
    why = {
        f"{c.user} is missing or no number": ~_is_count(c.user),
        f"{c.item} is missing or no number": ~_is_count(c.item),
        f"{c.time} is missing or no time": ~_is_count(c.time),
        f"{c.played_ms} is missing or no number": ~pl.col(c.played_ms).is_finite().fill_null(False),
        f"{c.played_ms} is negative": pl.col(c.played_ms) < 0,
    }
    return pl.coalesce(*(pl.when(bad).then(pl.lit(reason)) for reason, bad in why.items()))


def _is_count(column: str) -> pl.Expr:
    return (pl.col(column).is_finite() & (pl.col(column) >= 0) & (pl.col(column) < 2**53)).fill_null(False)


def _typed(c: ViewColumns, start_ms: int) -> list[pl.Expr]:
    duration = pl.col(c.duration_ms) * 1e-3
    is_length = duration.is_finite().fill_null(False) & (duration > 0)
    feedback = pl.lit(0, pl.Int32)
    for name, kind in c.flags.items():
        feedback = feedback | pl.when(pl.col(name) == 1).then(1 << kind).otherwise(0).cast(pl.Int32)
    return [
        pl.col(c.user).cast(pl.Int64).alias("user"),
        pl.col(c.item).cast(pl.Int64).alias("item"),
        ((pl.col(c.time) * c.to_ms).round().cast(pl.Int64) + start_ms).alias("time_ms"),
        (pl.col(c.played_ms) * 1e-3).alias("played_s"),
        pl.when(is_length).then(duration).otherwise(float("nan")).alias("duration_s"),
        feedback.alias("feedback"),
    ]


def _arrow(values: pl.Series) -> Any:
    return values.to_arrow(compat_level=pl.CompatLevel.oldest())
