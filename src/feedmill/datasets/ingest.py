"""A dataset into the log: once, whatever happens in between, and no row lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.core.progress import progress as show_progress
from feedmill.core.protocols import Dataset, EventLog
from feedmill.datasets.check import check_batch, rule
from feedmill.datasets.source import Reject, Rejecting

BATCH_ROWS = 65_536

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        n_events: events that are new in the log.
        n_duplicate: events the log had already, from an earlier ingest of the same files.
        n_rejected: rows that cannot be events; they are in ``rejects``.
        n_undescribed: events, new or not, of items that the dataset does not describe.
        reasons: how many rows each rule has rejected, the most frequent first.
        rejects: the file of rejected rows, a JSON object a line; None when there are none.
    """

    n_events: int
    n_duplicate: int
    n_rejected: int
    n_undescribed: int
    reasons: dict[str, int]
    rejects: Path | None


def ingest(
    dataset: Dataset, log: EventLog, rejects_dir: Path, now_ms: int, progress: Progress = show_progress
) -> IngestReport:
    """Appends a dataset to the log: users and items, then events in order of time.

    A batch's source (the hash of its file and mapping) and row make it idempotent: an ingest that was interrupted
    is continued by repeating it. A row's number counts good rows in order of time, and the only rule that depends
    on ``now_ms`` refuses the last of them, so a row keeps its number when more become good.

    Args:
        dataset: its batches name their ``source``; one that does not is known by its name.
        log: where to.
        rejects_dir: made if there are rejects; a file for each source.
        now_ms: the time it is: events more than a day later are rejects.
        progress: shows what is being done and how many events it has done.

    Raises:
        DataError: a file of the dataset cannot be used at all; nothing was appended.
        LogError: the log cannot be written; repeat the ingest when it can.
    """
    run = _Run(dataset.name, log, now_ms)
    label = dataset.name
    if isinstance(dataset, Rejecting):
        with progress("reading"):
            label = f"{dataset.name}-{dataset.source()[:12]}"
            for reject in dataset.rejects():
                run.reject(reject)
    for what, batches in (("users", dataset.users), ("items", dataset.items), ("events", dataset.events)):
        with progress(what) as advance:
            found = batches()
            for batch in (found,) if isinstance(found, EventBatch) else found:
                run.append(batch)
                advance(len(batch))
    return run.report(rejects_dir / f"{label}.jsonl")


class _Run:
    """One ingest: what it has done so far."""

    def __init__(self, name: str, log: EventLog, now_ms: int) -> None:
        self._name, self._log, self._now_ms = name, log, now_ms
        self._next_row: Counter[str] = Counter()  # of each source
        self._described: set[str] = set()
        self._rejects: list[Reject] = []
        self._n_new = self._n_duplicate = self._n_undescribed = 0

    def reject(self, reject: Reject) -> None:
        self._rejects.append(reject)

    def append(self, batch: EventBatch) -> None:
        """Appends the good rows, numbering them anew."""
        source = batch.source or self._name
        good = self._good(batch)
        self._note_items(good)
        for start in range(0, len(good), BATCH_ROWS):
            part = good[start : start + BATCH_ROWS]
            receipt = self._log.append(EventBatch(part.table, source, self._next_row[source]))
            self._next_row[source] += len(part)
            self._n_new += receipt.n_new
            self._n_duplicate += receipt.n_duplicate

    def _good(self, batch: EventBatch) -> EventBatch:
        good, reasons = check_batch(batch, self._now_ms)
        for row, reason in reasons.items():
            event = {k: v for k, v in batch.table.slice(row, 1).to_pylist()[0].items() if v != ""}
            text = orjson.dumps(event).decode()  # NaN becomes null
            self.reject(Reject(self._name, batch.source_row + row + 1, reason, text, True))
        return batch.take(np.flatnonzero(good)) if reasons else batch

    def _note_items(self, batch: EventBatch) -> None:
        kinds, items = batch.numpy("kind"), batch.table.column("item_id")
        self._described.update(items.filter(pa.array(kinds == Kind.ITEM)).to_pylist())
        counts = pc.value_counts(items.filter(pa.array(kinds < N_COUNTED)))
        named = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
        self._n_undescribed += sum(n for item, n in named if item not in self._described)

    def report(self, rejects: Path) -> IngestReport:
        """Writes the rejects, in place of those of an earlier ingest of the same, and says what was done."""
        _write(self._rejects, rejects)
        reasons = Counter(rule(r.reason) for r in self._rejects)
        return IngestReport(
            self._n_new,
            self._n_duplicate,
            len(self._rejects),
            self._n_undescribed,
            dict(reasons.most_common()),
            rejects if self._rejects else None,
        )


def _write(rejects: list[Reject], path: Path) -> None:
    if not rejects:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for reject in rejects:
            file.write(orjson.dumps(_shown(reject), option=orjson.OPT_APPEND_NEWLINE))
    part.replace(path)


def _shown(reject: Reject) -> dict[str, object]:
    """The row as JSON where it is JSON, else as its text."""
    row = orjson.Fragment(reject.row) if reject.is_json else reject.row
    return {"file": reject.file, "line": reject.line, "reason": reject.reason, "row": row}
