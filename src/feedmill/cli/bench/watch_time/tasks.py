"""Real logs as tasks: impressions whose seconds are known, split by time, with features as of each impression.

The oldest 80 % of the impressions are learned from, the next 10 % chosen by, the newest 10 % judged on, and no moment
is cut in two. The time is that of the log, or of each user: in a short log of few users who comes on the last day
decides how long the newest tenth is watched, and would decide what reads high or low. Features are those of the ranker
as it is served: the state's answers to each request, which know of nothing later; ids, quantiles and averages are
fitted on the oldest part. What is shown together is answered together, and then each row stands by itself, so that a
batch has as many rows on any log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.watch_time.task import NAMES, WATCH, Split, Task, split_hash, watched
from feedmill.core.batches import SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.progress import console
from feedmill.core.protocols import Dataset

if TYPE_CHECKING:
    from feedmill.features import FeatureSpec
    from feedmill.state import Probed, State

SHARES = (0.8, 0.9)  # where validation and test begin
MOST_EVENTS, MOST_ROWS = 4_000_000, 200_000  # of a large log the newest events are read, and the newest rows measured
QUICK = 20  # a large log in --quick is so much smaller
DAY_MS, DAYS = 86_400_000, 14  # hours and weekdays are features of a log that has each weekday twice
COUNTS = ("impression.1h", "impression.1d", "impression.all", "watch.1d", "watch.all", "finish.1d", "finish.all")
RATES = (  # watch counts seconds
    "watch.1d/impression.1d",
    "watch.all/impression.all",
    "finish.1d/impression.1d",
    "finish.all/impression.all",
)

By = Literal["time", "user"]


class Log(NamedTuple):
    """Files that tell that a folder has a log, and whose time it is split by."""

    files: str
    by: By


LOGS = {
    "segmm": Log("SegMM_inter*.csv", "user"),
    "kuairec": Log("big_matrix.csv", "time"),
    "kuairand": Log("log_standard_*.csv", "time"),
}


def tasks(data: Path | None, quick: bool, names: Collection[str] = NAMES) -> Iterator[Task]:
    """The generated log, and every real one that there are files of.

    Args:
        data: a folder of one log, or of folders of logs; None = FEEDMILL_DATA, or ../shared/data beside the checkout.
        quick: fewer rows of what is large.
        names: of those that are wanted.

    Raises:
        DataError: there is no such folder, files that cannot be read, or a log that is too small.
    """
    from feedmill.cli.bench.retrieval.tasks import data_folder, whole
    from feedmill.cli.bench.watch_time.known import NAME, known

    if NAME in names:
        yield known(quick)
    if data and not data.is_dir():
        raise DataError(f"no folder {data}", "a folder of data sets, or of one", "check the path")
    for name, log in LOGS.items():
        if name not in names:
            continue
        folder = found(data_folder(data), log.files)
        if folder is None:
            console.print(f"{name}: no {log.files} in {data_folder(data)}, left out", markup=False)
            continue
        yield of_log(name, whole(_dataset(name, folder)), log.by, *_most(quick))


def found(data: Path, pattern: str) -> Path | None:
    """The folder itself, or the first by name in it, that has such files (or has them in its folder "data")."""
    from feedmill.datasets.views import files_of

    inside = sorted(path for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
    return next((place for place in (data, *inside) if files_of(place, pattern)), None)


def of_log(
    name: str, events: EventBatch, by: By = "time", most_events: int = MOST_EVENTS, most_rows: int = MOST_ROWS
) -> Task:
    """A task of a log's newest impressions with known seconds.

    Args:
        by: "time" of the log: all that is judged on is later than all that is learned from; "user": each user's own.

    Raises:
        DataError: a log without seconds, or of so few moments that a part would be empty.
    """
    from feedmill.features import FeaturesConfig
    from feedmill.features import fit as fit_features
    from feedmill.samples import SamplesConfig, sample
    from feedmill.samples.down_sampling import taken
    from feedmill.state import State, StateConfig

    events = _newest(events, most_events)
    config = StateConfig(counts=COUNTS)
    everything = State(config)
    everything.register(events)
    asked = SamplesConfig(negatives="shown", watch_time=True, min_positives=1, max_requests=most_rows)
    samples, _ = sample(events, everything, asked, seed=0)
    if WATCH not in samples.heads:
        raise DataError(f"{name}: no seconds watched", "watch events after impressions", "see `feedmill data list`")
    h = samples.heads.index(WATCH)
    samples = taken(samples, samples.mask[:, h])
    part_of = parts_of(samples, by)
    if len(np.unique(part_of)) < len(SHARES) + 1:
        raise DataError(
            f"{name}: {len(samples):,} impressions with known seconds, too few to split 80/10/10 by time",
            "some in each part",
            "take a longer log",
        )
    parts = [taken(samples, part_of == k) for k in range(len(SHARES) + 1)]
    learned = State(config)
    learned.register(events)
    learned.fold(events[: int(parts[1].probe.at[0])])
    days = np.ptp(samples.probe.time_ms) / DAY_MS
    # What was shown once teaches nothing about itself, though it stands in many histories: a table of its own.
    reads = FeaturesConfig(rates=RATES, separate_items=True, context=bool(days >= DAYS))
    probed = [_probed(config, events, part) for part in parts]
    spec, arrays = fit_features.fit(reads, learned, probed[0])
    splits = [
        _split(spec, arrays, learned, of, part, part.labels[:, h]) for of, part in zip(probed, parts, strict=True)
    ]
    n = sum(len(part) for part in splits)
    whose = "the log's" if by == "time" else "each user's"
    how = f"{split_hash(*splits)}, 80/10/10 by {whose} time of {n:,} impressions"
    return Task(name, how, spec, *splits)


def _most(quick: bool) -> tuple[int, int]:
    share = QUICK if quick else 1
    return MOST_EVENTS // share, MOST_ROWS // share


def _dataset(name: str, folder: Path) -> Dataset:
    from feedmill.datasets import DATASETS

    make: Any = DATASETS[name]
    opened: Dataset = make(folder)
    return opened


def _newest(events: EventBatch, most: int) -> EventBatch:
    """All that describes, and the newest of the rest."""
    from feedmill.core.events import Kind

    describes = np.flatnonzero(events.numpy("kind") >= Kind.ITEM)
    rest = np.flatnonzero(events.numpy("kind") < Kind.ITEM)
    return events if len(rest) <= most else events.take(np.concatenate([describes, rest[-most:]]))


def parts_of(samples: SampleBatch, by: By) -> NDArray[np.int64]:
    """int64[C]: the part of each row, 0 = learned from, by the share of earlier rows (of its user)."""
    time_ms = samples.probe.time_ms[samples.probe.request_of]
    whose = samples.probe.user[samples.probe.request_of] * (by == "user")
    order = np.lexsort((time_ms, whose))
    u, t = whose[order], time_ms[order]
    n_user = np.searchsorted(u, u, "right") - np.searchsorted(u, u, "left")
    moment = np.maximum.accumulate(np.where(np.r_[True, (u[1:] != u[:-1]) | (t[1:] != t[:-1])], np.arange(len(u)), 0))
    share = np.empty(len(u))
    share[order] = (moment - np.searchsorted(u, u, "left")) / n_user
    return np.searchsorted(SHARES, share, "right").astype(np.int64)


def _probed(config: Any, events: EventBatch, part: SampleBatch) -> Probed:
    from feedmill.state import State

    state = State(config)
    state.register(events)
    return cast("Probed", state.fold(events, part.probe))


def _split(
    spec: FeatureSpec, arrays: Any, state: State, probed: Probed, part: SampleBatch, seconds: NDArray[np.float32]
) -> Split:
    """A part with each row as a request of its own."""
    from feedmill.features import FeatureBatch, assemble
    from feedmill.state import CROSS

    of, probe = part.probe.request_of, part.probe
    batch = assemble(spec, arrays, state, probed)
    alone = FeatureBatch(
        np.ascontiguousarray(batch.user_ids[of]),
        np.ascontiguousarray(batch.user_numeric[of]),
        batch.item_ids,
        batch.item_numeric,
        np.arange(len(of), dtype=np.int64),
    )
    samples = watched(probe.user[of], probe.item, probe.time_ms[of], seconds)
    return Split(alone, samples, probed.cross[:, CROSS.index("duration_s")], probe.user[of])
