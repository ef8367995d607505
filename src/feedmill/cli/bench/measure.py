"""How benches time, print and store: figures with where and how they were measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow, machine, versions, write

Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the work.")]


def done(rows: list[BenchRow], json: Path | None) -> None:
    """Print, and write where asked."""
    table = Table("what", "metric", "value", "p25..p75", "unit", "peer", "ratio", box=None, header_style="bold")
    for r in rows:
        spread = f"{r.low:.3g} .. {r.high:.3g}" if r.low is not None else ""
        ratio = f"{r.ratio:.2f}" if r.ratio is not None else ""
        table.add_row(r.what, r.metric, f"{r.value:,.3f}", spread, r.unit, r.peer, ratio)
    show.out.print(f"[dim]{machine()}; " + ", ".join(f"{k} {v}" for k, v in versions().items()) + "[/]")
    show.out.print(table)
    if json is not None:
        write(rows, json)


def of_parts(
    parts: Mapping[str, Callable[[bool], list[BenchRow]]], quick: bool, only: Sequence[str] = ()
) -> list[BenchRow]:
    """The rows of all parts of a bench, or of those named.

    Raises:
        DataError: a name that is no part.
    """
    for name in only:
        if name not in parts:
            raise DataError(f"--only {name}", f"one of {list(parts)}", nearest(name, parts))
    return [row for name, part in parts.items() if not only or name in only for row in part(quick)]


def timing(what: str, metric: str, seconds: list[float], unit: str = "ms", scale: float = 1e3) -> BenchRow:
    """Quantiles of repeated timings: ``metric`` "p50" or "p99"."""
    q = {"p50": 50, "p99": 99}[metric]
    values = np.asarray(seconds) * scale
    return BenchRow(
        what=what,
        metric=metric,
        value=float(np.percentile(values, q)),
        low=float(np.percentile(values, 25)),
        high=float(np.percentile(values, 75)),
        unit=f"{unit}, n = {len(values)}",
    )


def timed(n: int, verb: Callable[[int], object]) -> list[float]:
    """Seconds of each of n calls."""
    out = []
    for i in range(n):
        start = time.perf_counter()
        verb(i)
        out.append(time.perf_counter() - start)
    return out
