"""``feedmill report features``: what each feature says, and how it drifted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.core.batches import ProbeBatch
    from feedmill.core.events import EventBatch
    from feedmill.features.report import Line
    from feedmill.state import State


def report_features(at: Workspace, share: float, rows: int, top: int, json: Path | None) -> None:
    """Print the ``top`` most drifted lines (0 = all); JSON where asked for."""
    lines, what = run(at, share, rows)
    show.out.print(table(lines[: top or None], f"{what}; {len(lines)} features, the most drifted first"))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=1) + b"\n")


def run(at: Workspace, share: float, rows: int) -> tuple[list[Line], str]:
    """The lines, and in words what they are of.

    Raises:
        DataError: the log has too little behaviour to compare two parts of it.
    """
    from feedmill.features import FeaturesConfig
    from feedmill.features.fit import fit
    from feedmill.features.report import report
    from feedmill.state import Replay

    config, replay = at.section("features", FeaturesConfig), Replay.of_workspace(at)
    events, state, earlier = replay.events, replay.state(), replay.state()
    asked, what = requests(events, state, rows)
    n = int(share * len(asked))
    if not 0 < n < len(asked):
        raise DataError(f"{len(asked)} requests in the log", "two parts of them", "ingest more events, or move --at")
    upto = int(asked.at[n])
    first = earlier.fold(events[:upto], head(asked, n))
    probed = state.fold(events, asked)
    assert first is not None
    assert probed is not None
    spec, arrays = fit(config, earlier, first)
    words = f"{len(asked):,} {what}, the first {n:,} against the rest"
    return report(config, spec, arrays, state, probed, n), words


def requests(events: EventBatch, state: State, most: int) -> tuple[ProbeBatch, str]:
    """Impressions as requests of one candidate each, as of the moment they were asked for, evenly over the log, and
    what they are called; without impressions, what was consumed."""
    import numpy as np

    from feedmill.core.batches import LANES, ProbeBatch
    from feedmill.core.events import Kind
    from feedmill.samples.splits import asked_at, moments

    kind = events.numpy("kind")
    user, item = (ids.rows(events.table.column(c)) for ids, c in ((state.users, "user_id"), (state.items, "item_id")))
    shown, consumed = kind == Kind.IMPRESSION, np.isin(kind, LANES["clicked"] + LANES["liked"])
    is_shown = shown.sum() >= max(1, consumed.sum())
    places = np.flatnonzero((shown if is_shown else consumed) & (user > 0) & (item > 0))
    places = places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(np.int64))]
    at = moments(events, places) if not is_shown else asked_at(events)[places]
    order = np.argsort(at, kind="stable")
    at, places = at[order], places[order]
    probe = ProbeBatch(
        user[places], events.numpy("time_ms")[at], at, item[places], np.arange(len(places), dtype=np.int32)
    )
    return probe, "impressions" if is_shown else "consumed items"


def head(asked: ProbeBatch, n: int) -> ProbeBatch:
    """The first n requests, which have one candidate each."""
    from feedmill.core.batches import ProbeBatch

    return ProbeBatch(asked.user[:n], asked.time_ms[:n], asked.at[:n], asked.item[:n], asked.request_of[:n])


def table(lines: list[Line], title: str) -> Table:
    """Lines for people."""
    out = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for column in ("feature", "known", "used", "distinct", "p50", "p99", "PSI", "noise", "moved", ""):
        out.add_column(column, no_wrap=True, justify="left" if column in ("feature", "") else "right")
    for x in lines:
        quantiles = [f"{x.quantiles[i]:.3g}" for i in (2, 4)] if x.quantiles else ["", ""]
        shares = (f"{x.known:.0%}", f"{x.used:.0%}", f"{x.distinct:,}")
        drift = (f"{x.drift:.2f}", f"{x.noise:.3f}", f"{x.moved:.0%}")
        out.add_row(escape(x.name), *shares, *quantiles, *drift, verdict(x))
    return out


def verdict(x: Line) -> str:
    """A word on a line that needs one."""
    if not x.in_model:
        return "unused"
    if x.drift < max(0.1, 2 * x.noise):
        return ""
    return "shifted" if x.drift >= 0.25 else "drifts"
