"""One request on its way through the chain: its candidates, its clock, and the account kept of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sized
from time import perf_counter
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, Mask, Rows, UserColumns
from feedmill.core.request import FeedRequest, StageTrace, Trace

T = TypeVar("T", bound=Sized)
logger = logging.getLogger("feedmill.serve")


class Run:
    """The working state of one request.

    Args:
        reserve: by channel, how many of its best no cut may take.

    Attributes:
        candidates: what is left, best first.
        after: the candidates as they were after each stage, by its name (evaluation reads these).
        notes: what re-rank rules said, by item row.
        trace: the account; a stage that failed or was skipped is named in ``trace.degraded``.
    """

    def __init__(
        self, request: FeedRequest, user: UserColumns, reserve: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.request, self.user, self._reserve = request, user, reserve
        self.started = perf_counter()
        self.trace = Trace(request_id=request.request_id, user_id=request.user_id, time_ms=request.time_ms)
        self.candidates = CandidateBatch.of("", [], [])
        self.after: dict[str, CandidateBatch] = {}
        self.notes: dict[int, list[str]] = {}
        self.fates: dict[str, list[Rows]] = {}

    @property
    def ms(self) -> float:
        """Milliseconds since the request came in."""
        return (perf_counter() - self.started) * 1e3

    def attempt(self, stage: str, verb: Callable[[StageTrace], T], n_in: int, *, must: bool = False) -> T | None:
        """Run a stage, timed and counted; None if it failed, or if the deadline has passed and it is not a must.

        An error of a component ends that component's part in this request, not the request.
        """
        if not must and self.ms >= self.request.deadline_ms:
            self.degrade(f"{stage}: deadline")
            return None
        try:
            with self.trace.stage(stage, n_in) as entry:
                result = verb(entry)
                entry.n_out = len(result)
            return result
        except Exception as error:
            self.trace.stages[-1].error = f"{type(error).__name__}: {error}"
            self.degrade(f"{stage}: failed")
            of = {"request_id": self.request.request_id}
            logger.warning("request %s: %s failed", self.request.request_id, stage, exc_info=error, extra=of)
            return None

    def degrade(self, what: str) -> None:
        """Say once what this answer had to do without."""
        if what not in self.trace.degraded:
            self.trace.degraded.append(what)

    def become(self, stage: str, candidates: CandidateBatch) -> None:
        """The candidates after a stage."""
        self.candidates = self.after[stage] = candidates

    def drop(self, entry: StageTrace, reason: str, rows: Rows) -> None:
        """Count and remember item rows that fell out, and why."""
        if len(rows):
            entry.dropped[reason] = entry.dropped.get(reason, 0) + len(rows)
            self.fates.setdefault(reason, []).append(rows)

    def keep_best(self, entry: StageTrace, batch: CandidateBatch, k: int, reason: str) -> CandidateBatch:
        """The first k; the rest falls out for ``reason``."""
        self.drop(entry, reason, batch.item[k:])
        return batch.take(np.arange(min(k, len(batch))))

    def reserved(self, batch: CandidateBatch) -> Mask:
        """bool[C]: the best of each channel with a reserve, by the channel's own score, of those that are left."""
        mask = np.zeros(len(batch), np.bool_)
        for name, n in self._reserve.items():
            if name in batch.channels:
                found = batch.found[:, batch.channels.index(name)]
                best = np.argsort(-found, kind="stable")[:n]  # what the channel did not bring, NaN, comes last
                mask[best[~np.isnan(found[best])]] = True
        return mask

    def cut(self, entry: StageTrace, batch: CandidateBatch, k: int, reason: str) -> CandidateBatch:
        """The k that go on, in order: what is reserved, and the first others; the rest falls out for ``reason``."""
        if len(batch) <= k:
            return batch
        keep = np.zeros(len(batch), np.bool_)
        keep[np.argsort(~self.reserved(batch), kind="stable")[:k]] = True
        self.drop(entry, reason, batch.item[~keep])
        return batch.take(keep)


def ordered(batch: CandidateBatch, by: Floats) -> CandidateBatch:
    """Highest first; ties by item row, so that the order depends on nothing else."""
    return batch.take(np.lexsort((batch.item, -np.asarray(by, np.float64))))
