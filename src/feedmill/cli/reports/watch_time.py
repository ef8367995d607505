"""``feedmill report watch-time``: watch times and the heads that learn them, as a page of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feedmill.cli import show
from feedmill.cli.bench.page import read
from feedmill.cli.charts import canvas, labels, ordinal, page, scores, targets, wce
from feedmill.cli.charts.formulas import Doubles
from feedmill.cli.charts.page import Lines, Picture
from feedmill.cli.charts.watched import Watched
from feedmill.core.errors import DataError

TITLE = "Watch time"


def report_watch_time(watched: Watched, source: Sequence[Path], out: Path) -> None:
    """Draw every picture, and write the page that shows them.

    Args:
        source: files of `feedmill bench watch-time --json`; without any, heads are not compared.
        out: a folder; made where there is none.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: too few or too equal watch times, figures of something else, or a folder that cannot be made.
    """
    canvas.pyplot()
    found = read(source) if source else []
    if source:
        scores.by_task(found)
    _check(watched)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its pictures") from e
    compared = scores.pictures(found, out) if source else []
    drawn = [*of_labels(watched, out), *compared]
    page.write(out / "index.html", TITLE, _made_from(watched, found), summary(watched), drawn)
    show.out.print(f"wrote {out / 'index.html'} and {len(drawn)} pictures: {watched.of}")


def of_labels(watched: Watched, out: Path) -> list[Picture]:
    """Pictures of the labels, and of what the heads' formulas make of them."""
    seconds, duration, _ = watched
    return [
        labels.histogram(seconds, duration, out),
        wce.curves(out),
        wce.gradient(out),
        targets.targets(seconds, out),
        ordinal.ordinal(seconds, duration, out),
    ]


def summary(watched: Watched) -> Lines:
    """All rows, and those of each fifth by duration: how many, mean, quantiles, finished, skipped."""
    seconds, duration, _ = watched
    lines = [("all", np.ones(len(seconds), np.bool_))]
    if (duration > 0).any():
        edges = np.quantile(duration[duration > 0], np.arange(6) / 5)
        fifth = np.searchsorted(edges[1:-1], duration, "left")
        lines += [(f"lasts {edges[k]:.0f} to {edges[k + 1]:.0f} s", (fifth == k) & (duration > 0)) for k in range(5)]
    rows = [_line(name, seconds[is_in], duration[is_in]) for name, is_in in lines if is_in.any()]
    header = (
        "watch time",
        "rows",
        "mean, s",
        "10 %",
        "median, s",
        "90 %",
        "99 %",
        f"under {labels.SHORT_S} s",
        "to the end",
    )
    return Lines(header, rows)


def _line(name: str, seconds: Doubles, duration: Doubles) -> Sequence[str]:
    quantiles = (f"{q:.1f}" for q in np.quantile(seconds, (0.1, 0.5, 0.9, 0.99)))
    is_known = duration > 0
    finished = f"{(seconds >= duration)[is_known].mean():.0%}" if is_known.any() else ""
    skipped = f"{(seconds < labels.SHORT_S).mean():.0%}"
    return name, f"{len(seconds):,}", f"{seconds.mean():.1f}", *quantiles, skipped, finished


def _check(watched: Watched) -> None:
    distinct = len(np.unique(watched.seconds))
    if distinct < 2:
        raise DataError(f"{watched.of}, {distinct} distinct watch times", "two at least", "there is nothing to draw")


def _made_from(watched: Watched, found: Sequence[Mapping[str, Any]]) -> str:
    compared = f" Heads are compared by {len(found):,} figures of `feedmill bench watch-time`." if found else ""
    return f"Made by `feedmill report watch-time` from {watched.of}.{compared}"
