"""How long after its impression each kind of feedback arrives: what a window is chosen by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.events import N_COUNTED, EventBatch, Kind

GRID_S = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400)


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """One kind: of what its impressions ever got, what stood in the log w seconds after them.

    Attributes:
        n: impressions that got it at all (of watch: that a last, largest report came to).
        n_repeated: reports that said nothing new.
        n_orphan: reports of a request and item that the log shows nowhere.
        n_organic: reports without a request.
        within: for each w of the grid, the share of n that had come by then.
        quantiles_s: delays that 50, 90, 99 and 99.9 % do not exceed.
    """

    kind: str
    n: int
    n_repeated: int
    n_orphan: int
    n_organic: int
    within: tuple[float, ...]
    quantiles_s: tuple[float, ...]


QUANTILES = (0.5, 0.9, 0.99, 0.999)


def delays(events: EventBatch, grid_s: Sequence[float] = GRID_S) -> list[Delays]:
    """Every kind of feedback that the log has, in the order of ``Kind``.

    A delay is feedback's own stamp less its impression's, 0 at least. The first report counts; of watches, which grow,
    the first that says the most.
    """
    frame = _frame(events)
    shown = (
        frame.filter(pl.col("kind") == Kind.IMPRESSION, pl.col("request") != "")
        .unique(["request", "item"], keep="first", maintain_order=True)
        .select("request", "item", shown_ms="time_ms")
    )
    return list(_of_kinds(frame, shown, grid_s))


def _frame(events: EventBatch) -> pl.DataFrame:
    names = {"kind": "kind", "time_ms": "time_ms", "value": "value", "request_id": "request", "item_id": "item"}
    columns = {new: pl.Series(new, events.table.column(old)) for old, new in names.items()}
    return pl.DataFrame(columns).filter(pl.col("kind") < N_COUNTED)


def _of_kinds(frame: pl.DataFrame, shown: pl.DataFrame, grid_s: Sequence[float]) -> Iterator[Delays]:
    for kind in Kind:
        reports = frame.filter(pl.col("kind") == int(kind))
        if not 0 < kind < N_COUNTED or not len(reports):
            continue
        keyed = reports.filter(pl.col("request") != "")
        found = keyed.join(shown, on=["request", "item"], maintain_order="left")
        if kind == Kind.WATCH:
            found = found.sort("value", descending=True, maintain_order=True)
        first = found.unique(["request", "item"], keep="first", maintain_order=True)
        delay_s = (first["time_ms"] - first["shown_ms"]).clip(lower_bound=0).to_numpy() / 1000.0
        yield Delays(
            kind=kind.name.lower(),
            n=len(first),
            n_repeated=len(found) - len(first),
            n_orphan=len(keyed) - len(found),
            n_organic=len(reports) - len(keyed),
            within=_within(delay_s, grid_s),
            quantiles_s=tuple(np.quantile(delay_s, QUANTILES, method="higher").tolist()) if len(first) else (),
        )


def _within(delay_s: NDArray[np.float64], grid_s: Sequence[float]) -> tuple[float, ...]:
    ordered = np.sort(delay_s)
    return tuple(float(np.searchsorted(ordered, w, "right") / max(1, len(ordered))) for w in grid_s)
