"""Watch times with durations, read from a workspace's log or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.charts.formulas import Doubles
from feedmill.core.batches import SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.state import State

CAP_S = 3600.0  # longer watches count as this, as in the heads
COLUMNS = ("duration_ms", "playing_time")  # of the SegMM sample, both in milliseconds


class Watched(NamedTuple):
    """Rows with a known watch time.

    Attributes:
        seconds: float64[n], an hour at most.
        duration: float64[n] seconds that each row's item lasts, NaN = unknown.
        of: in words, what they are.
    """

    seconds: Doubles
    duration: Doubles
    of: str


def of_file(file: Path) -> Watched:
    """A CSV file with columns duration_ms and playing_time, both in milliseconds, such as SegMM's.

    Raises:
        DataError: there is no such file, or it lacks the columns or rows.
    """
    import polars as pl

    try:
        frame = pl.read_csv(file, columns=list(COLUMNS))
        both = frame.select(pl.col(c).cast(pl.Float64, strict=False) for c in COLUMNS)
    except (OSError, pl.exceptions.PolarsError) as e:
        raise DataError(f"{file}: {e}", f"a CSV file with the columns {list(COLUMNS)}, in milliseconds") from e
    duration, seconds = (both[c].fill_null(np.nan).to_numpy() / 1e3 for c in COLUMNS)
    is_known = np.isfinite(seconds) & (seconds >= 0)
    more = f" ({(~is_known).sum():,} more have no watch time)" if not is_known.all() else ""
    return _watched(seconds[is_known], duration[is_known], f"{is_known.sum():,} rows of {file.name}{more}")


def of_workspace(at: Workspace) -> Watched:
    """Impressions whose watch time is known, as a ranker's samples label them; of a log without any, its watch events.

    Raises:
        DataError: the log has no watch events.
        LogError: it cannot be read.
    """
    from feedmill.samples.watch_seconds import WATCH_HEAD
    from feedmill.state import Replay

    replay = Replay.of_workspace(at)
    events = replay.events
    if not (events.numpy("kind") == Kind.WATCH).any():
        raise DataError(
            f"{len(events):,} events, none of kind watch",
            "watch events, whose value is the seconds watched",
            "ingest a log that has them, or name a CSV file with --data",
        )
    state = replay.state()
    state.fold(events)
    duration = state.catalogue.duration_s
    if not (events.numpy("kind") == Kind.IMPRESSION).any():
        seconds = events.numpy("value")
        rows = (events.numpy("kind") == Kind.WATCH) & (seconds >= 0) & np.isfinite(seconds)
        item = state.items.rows(events.table.column("item_id"))[rows]
        return _watched(seconds[rows], duration[item], f"{rows.sum():,} watch events")
    batch = _as_shown(at, events, state)
    if WATCH_HEAD not in batch.heads:
        raise DataError(
            "no watch event belongs to an impression",
            "impressions of the same user and item, before it",
            "look at samples.window_s, and at the ids of both",
        )
    head = batch.heads.index(WATCH_HEAD)
    rows = batch.mask[:, head]
    what = f"{rows.sum():,} impressions whose watch time is known"
    return _watched(batch.labels[rows, head], duration[batch.probe.item[rows]], what)


def _as_shown(at: Workspace, events: EventBatch, state: State) -> SampleBatch:
    """Every impression, whatever a ranker leaves out, with the seconds watched as a label."""
    from feedmill.samples import SamplesConfig, sample
    from feedmill.samples.rows import as_shown

    config = at.section("samples", SamplesConfig, drop=["interest", "join", "guard"])
    return sample(events, state, as_shown(config), 0)[0]


def _watched(seconds: NDArray[Any], duration: NDArray[Any], of: str) -> Watched:
    known = np.where(np.isfinite(duration) & (duration > 0), duration, np.nan)
    return Watched(np.minimum(seconds.astype(np.float64), CAP_S), known.astype(np.float64), of)
