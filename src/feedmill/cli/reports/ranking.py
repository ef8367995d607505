"""``feedmill report ranking``: each head's metrics, bucket by bucket of a column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import writable
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.metrics import rows
from feedmill.metrics.by_bucket import METRICS, BucketMetrics, by_bucket
from feedmill.metrics.intervals import Interval
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.train.rank.later import Later

TITLES = {"log_loss": "log loss", "ne": "NE", "auc": "AUC", "gauc": "GAUC", "ece": "ECE", "pcoc": "PCOC"}
WIDE = ("pcoc",)  # shown with its interval: whether it is off is the question


def report_ranking(at: Workspace, by: str, n_buckets: int, heads: Sequence[str], seed: int, json: Path | None) -> None:
    """Train, ask, and print a table for each head.

    Raises:
        ConfigError: no such column, or no ranker.
        DataError: no such head, a log without impressions, or too little of them.
    """
    from feedmill.state import Replay
    from feedmill.train.rank.later import later_rows

    writable(json)
    later = later_rows(at, Replay.of_workspace(at), seed)
    found = {head: lines_of(later, head, by, n_buckets, seed) for head in chosen(later, heads)}
    for head, lines in found.items():
        show.out.print(table(lines, f"{head}, by {by}; {later}"))
    if json is not None:
        rows.write([row for head, lines in found.items() for row in bench_rows(lines, f"{head}, {by}", seed)], json)


def chosen(later: Later, heads: Sequence[str]) -> list[str]:
    """The heads asked for; none: all that give probabilities.

    Raises:
        DataError: the ranker has no such head.
    """
    known = [head for head, kind in zip(later.heads, later.kinds, strict=True) if kind == "probability"]
    for head in heads:
        if head not in known:
            raise DataError(f"--head {head}", f"one of {known}", nearest(head, known))
    return list(heads) or known


def lines_of(later: Later, head: str, by: str, n_buckets: int, seed: int) -> list[BucketMetrics]:
    """One head's line for all rows and for each bucket of the column."""
    from feedmill.features.buckets import Buckets

    samples, probed = later.samples, later.probed
    buckets = Buckets.fit(by, n_buckets, later.state, probed.users, probed.item, probed.request_of)
    h = samples.heads.index(head)
    known = samples.mask[:, h]
    return by_bucket(
        samples.labels[known, h],
        later.probs[known, later.heads.index(head)],
        buckets.bind(later.state)(probed.users, probed.item, probed.request_of)[known],
        user=samples.probe.user[samples.probe.request_of][known],
        names=buckets.names(),
        seed=seed,
    )


def table(lines: Sequence[BucketMetrics], title: str) -> Table:
    """Lines for people."""
    out = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    out.add_column("", no_wrap=True)
    for column in ("rows", "positive", *TITLES.values()):
        out.add_column(column, no_wrap=True, justify="right")
    for line in lines:
        metrics = [words(getattr(line, metric), wide=metric in WIDE) for metric in METRICS]
        out.add_row(escape(line.name), f"{line.n:,}", f"{line.n_positive:,}", *metrics)
    return out


def words(x: Interval, *, wide: bool) -> str:
    """A figure, with its interval where that is what one looks for; nothing where it does not apply."""
    if x.mean != x.mean:
        return ""
    return f"{x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]" if wide else f"{x.mean:.4f}"


def bench_rows(lines: Sequence[BucketMetrics], what: str, seed: int) -> list[BenchRow]:
    """A row for each figure that applies."""
    return [
        BenchRow(
            what=f"{what}: {line.name}", metric=TITLES[metric], value=x.mean, low=x.low, high=x.high,
            unit=f"{line.n:,} rows, {line.n_positive:,} positive, 95 % over users", seed=seed,
        )
        for line in lines for metric in METRICS if (x := getattr(line, metric)).mean == x.mean
    ]  # fmt: skip
