"""What the joiner has counted since the log began, and the sums that must come out even."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from feedmill.core.events import Kind
from feedmill.samples.joiner.arrays import Tally
from feedmill.samples.joiner.config import Groups
from feedmill.samples.joiner.kernel import EARLY_HEAD, EARLY_TAIL, OF_KIND, OF_SHOWN, TAIL


class OfKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of feedback: seen = joined + grown + duplicate + late + orphan + organic + early.

    And of the samples of its group: closed = positive + negative; joined = positive + those whose window is open.
    """

    kind: str
    window_s: float
    seen: int
    joined: int  # labelled an impression
    grown: int  # a watch report that says more than the one before
    duplicate: int  # said before
    late: int  # after its window
    orphan: int  # no such impression waits: never seen, or long closed
    organic: int  # without a request id
    early: int  # waits for its impression
    closed: int  # samples whose label of this kind is final
    positive: int
    negative: int
    open: int  # joined, and the window is still open


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Impressions: seen = accepted + duplicate + stale + organic; accepted = complete + waiting."""

    accepted: int
    duplicate: int
    stale: int  # came when its last window had closed by the log's clock
    organic: int  # without a request id: nothing can be joined to it
    forced: int  # closed before its time, because too many waited
    repaired: int  # stamped in the future, and taken as shown when it came
    complete: int  # all windows closed
    waiting: int
    kinds: list[OfKind]

    def uneven(self) -> list[str]:
        """Sums that do not come out even: none, unless something is broken."""
        return [line for line, left, right in self._sums() if left != right]

    def _sums(self) -> Iterator[tuple[str, int, int]]:
        yield "impressions accepted = complete + waiting", self.accepted, self.complete + self.waiting
        for k in self.kinds:
            parts = k.joined + k.grown + k.duplicate + k.late + k.orphan + k.organic + k.early
            yield f"{k.kind}: seen = joined + grown + duplicate + late + orphan + organic + early", k.seen, parts
            yield f"{k.kind}: closed = positive + negative", k.closed, k.positive + k.negative
            yield f"{k.kind}: joined = positive + open", k.joined, k.positive + k.open


def counted(t: Tally, groups: Groups, early: Mapping[int, int], still_open: Mapping[int, int]) -> Counts:
    """The counts of a tally.

    Args:
        early: how many reports of each kind wait for their impression.
        still_open: how many impressions have a label of each kind whose window is open.
    """
    kinds = []
    for kind in groups.kinds:
        group = groups.of_kind[kind]
        row: dict[str, Any] = dict(zip(OF_KIND, t.kinds[kind].tolist(), strict=True))
        closed = int(t.heads[group])
        kinds.append(
            OfKind(
                kind=kind.name.lower(),
                window_s=float(groups.window_ms[group]) / 1000.0,
                early=early.get(kind, 0),
                closed=closed,
                negative=closed - row["positive"],
                open=still_open.get(kind, 0),
                **row,
            )
        )
    shown = dict(zip(OF_SHOWN, t.shown.tolist(), strict=True))
    complete = int(t.heads[-1])
    return Counts(**shown, complete=complete, waiting=int(t.now[TAIL]) - complete, kinds=kinds)


def tallied(labels: Any, kinds: tuple[Kind, ...]) -> dict[int, int]:
    """How many of n label masks have the bit of each kind."""
    return {kind: int(np.count_nonzero(labels & (1 << kind))) for kind in kinds}


def n_early(t: Tally) -> int:
    """Places taken in the queue of early feedback."""
    return int(t.now[EARLY_TAIL] - t.now[EARLY_HEAD])
