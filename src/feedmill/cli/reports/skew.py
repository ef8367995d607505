"""``feedmill report skew``: what was served beside what the log gives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.core import status
from feedmill.core.workspace import Workspace
from feedmill.serve.differences import Line, Row
from feedmill.serve.skew import Skew, skew

MOST = 20  # lines, and names in the status
_SHOWN = 4  # values of a vector


def report_skew(at: Workspace, limit: float, json: Path | None) -> None:
    """Compare, print, and write ``status/skew.json``; JSON where asked for.

    Raises:
        typer.Exit: 1, more than ``limit`` of the rows differ.
    """
    found = skew(at)
    is_over = found.share > limit
    _print(found, limit)
    different = [f"{x.side} {x.feature}" for x in (*found.features, *found.scores) if x.differing]
    status.report(
        at,
        "skew",
        offset=found.offset,
        state="skew" if is_over else status.OK,
        figures=figures(found) | {"limit": limit},
        words=different[:MOST],
    )
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if is_over:
        raise typer.Exit(1)


def figures(found: Skew) -> dict[str, float]:
    """The counts, for gauges."""
    return {
        "requests": found.requests,
        "rows": found.rows,
        "differing_rows": found.differing,
        "differing_share": found.share,
        "differing_features": sum(x.differing > 0 for x in found.features),
        "differing_heads": sum(x.differing > 0 for x in found.scores),
        "requests_of_versions_gone": sum(found.versions_gone.values()),
        "requests_beyond_log": found.beyond_log,
        "late_events": found.late_events,
        "late_requests": found.late_requests,
    }


def _print(found: Skew, limit: float) -> None:
    if not found.rows:
        show.out.print("nothing to compare: no trace has kept features (serve.skew_share, and a trained ranker)")
    else:
        show.out.print(
            f"{found.requests:,} requests, {found.rows:,} items shown, {found.compared} features and "
            f"{len(found.scores)} heads: {found.differing:,} rows differ ({found.share:.3%}, limit {limit:.3%})"
        )
    different = [x for x in (*found.features, *found.scores) if x.differing]
    if different:
        show.out.print(table(different[:MOST]))
    if len(different) > MOST:
        show.out.print(f"and {len(different) - MOST} more; --json has all")
    for line in asides(found):
        show.out.print(f"[dim]{escape(line)}[/]")


def asides(found: Skew) -> list[str]:
    """What is not skew, in words."""
    gone = "no longer there, or not to be used with this config"
    lines = [f"{n:,} requests of version {version}: {gone}" for version, n in found.versions_gone.items()]
    if found.beyond_log:
        lines.append(f"{found.beyond_log:,} requests at offsets that the log does not have: another log, or one cut")
    if found.late_events:
        what = f"{found.late_events:,} events came after requests and are dated over a second before them"
        lines.append(f"{what} ({found.late_requests:,} requests): serving could not know them")
    return lines


def table(lines: list[Line]) -> Table:
    """What differs, with an example each."""
    out = Table(box=None, header_style="bold", padding=(0, 1))
    for column in ("", "feature", "rows", "differing", "largest", "request", "item", "served", "recomputed"):
        out.add_column(column, justify="right" if column in ("rows", "differing", "largest") else "left")
    for x in lines:
        e = x.example
        place = ("", "", "", "") if e is None else (e.request_id, e.item_id, _values(e.served), _values(e.recomputed))
        counts = (f"{x.rows:,}", f"{x.differing:,}", f"{x.largest:.2g}")
        out.add_row(x.side, escape(x.feature), *counts, *map(escape, place))
    return out


def _values(row: Row) -> str:
    words = ["unknown" if v is None else str(v) if isinstance(v, int) else f"{v:.6g}" for v in row[:_SHOWN]]
    return ", ".join(words) + (", …" if len(row) > _SHOWN else "") if row else "none"
