"""Watch time cut into bins: where the edges are, and what the training rows in each bin say of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.errors import ConfigError, DataError
from feedmill.models.heads.cuts import Doubles, inner_edges
from feedmill.models.heads.head import Numbers, WatchTimeConfig

MAX_BINS = 4096  # a head has a logit for each


class BinnedConfig(WatchTimeConfig, frozen=True):
    """Parameters of heads that cut watch time into bins."""

    bins: Annotated[
        Literal["equal_frequency", "uniform", "exponential"] | tuple[float, ...],
        Meta(description="how the bins are cut, or the inner edges themselves, rising seconds"),
    ] = "equal_frequency"
    n_bins: Annotated[int, Meta(ge=2, le=MAX_BINS, description="how many bins of equal frequency")] = 50
    width_s: Annotated[float, Meta(gt=0, description="seconds that a uniform bin is wide")] = 5.0
    growth: Annotated[
        float, Meta(gt=0, description="edges of exponential bins: exp(x / growth) - 1, x = 1, 2, ...")
    ] = 40.0
    centre: Annotated[
        Literal["mean", "median"], Meta(description="what a bin is served as; the median gives no mean")
    ] = "mean"


class Bins(NamedTuple):
    """K bins: bin k holds ``edges[k - 1] < t <= edges[k]``, the first one 0 s as well, the last one all above.

    Attributes:
        edges: float32[K - 1] inner edges, rising seconds; each has training rows above it.
        lower: float32[K] seconds; 0 in the first.
        upper: float32[K] seconds; the longest training label in the last.
        mean: float32[K] seconds of the training rows inside, the middle where there are none.
        median: float32[K] likewise.
        n_rows: int64[K] training rows inside.
    """

    edges: Numbers
    lower: Numbers
    upper: Numbers
    mean: Numbers
    median: Numbers
    n_rows: NDArray[np.int64]

    @property
    def share(self) -> Numbers:
        """float32[K] of the rows, none of them 0: half a row is added to each bin."""
        rows = self.n_rows + 0.5
        share: Numbers = (rows / rows.sum()).astype(np.float32)
        return share


def bins_of(config: BinnedConfig, seconds: Numbers) -> Bins:
    """The bins of float32[n] training labels, capped.

    Edges of equal frequency are labels that occur, so a label that many rows share is not cut apart: where ties make
    edges meet there are fewer bins than asked for, and none of them is empty. Edges that no label lies above are left
    out, whatever their kind.

    Raises:
        ConfigError: given edges that do not rise from above 0 s, or more than 4,096 bins.
        DataError: one distinct label; fewer rows than bins; given edges that no label lies above.
    """
    t = np.sort(np.minimum(seconds, np.float32(config.cap_s)))
    if t[0] == t[-1]:
        raise DataError(
            f"{len(t):,} rows that were all watched {t[0]:g} s",
            "more than one distinct watch time to cut into bins",
            "check how watch time is recorded, and cap_s",
        )
    edges = np.unique(_edges(config, t).astype(np.float32))
    edges = edges[edges < t[-1]]
    if not len(edges):
        raise DataError(
            f"edges of bins that none of {len(t):,} watch times lies above, the longest is {t[-1]:g} s",
            "an edge between the shortest and the longest watch time",
            "lower the edges or width_s, or choose bins = 'equal_frequency'",
        )
    if len(edges) + 1 > len(t):
        raise _too_few(len(t), len(edges) + 1)
    return _filled(edges, t)


def _edges(config: BinnedConfig, t: Numbers) -> Doubles:
    """Inner edges as configured; sorted labels."""
    top = float(t[-1])
    if config.bins == "equal_frequency":
        if config.n_bins > len(t):
            raise _too_few(len(t), config.n_bins)
        return inner_edges(t.astype(np.float64), np.arange(1, config.n_bins) / config.n_bins)
    if config.bins == "uniform":
        _check_count(config, top / config.width_s)
        return (np.arange(1, int(top / config.width_s) + 1) * config.width_s).astype(np.float64)
    if config.bins == "exponential":
        _check_count(config, config.growth * np.log1p(top))
        return np.expm1(np.arange(1, int(config.growth * np.log1p(top)) + 1) / config.growth).astype(np.float64)
    given = np.asarray(config.bins, np.float64)
    if not len(given) or not np.isfinite(given).all() or given[0] <= 0 or (np.diff(given) <= 0).any():
        raise ConfigError(
            f"bins = {list(config.bins)}",
            "inner edges in seconds, the first above 0, each above the one before",
            "sort them and leave out those that occur twice",
        )
    _check_count(config, len(given) + 1)
    return given


def _check_count(config: BinnedConfig, n: float) -> None:
    if n > MAX_BINS:
        raise ConfigError(f"bins = {config.bins!r} with {int(n):,} bins", f"{MAX_BINS:,} at most", "make them wider")


def _too_few(n_rows: int, n_bins: int) -> DataError:
    return DataError(
        f"{n_rows:,} rows for {n_bins:,} bins of watch time",
        "a row for each bin at least",
        "ask for fewer bins, or learn from more rows",
    )


def _filled(edges: Numbers, t: Numbers) -> Bins:
    """Bins with what their rows say; sorted labels."""
    lower, upper = np.concatenate([np.zeros(1, np.float32), edges]), np.concatenate([edges, t[-1:]])
    mean = (lower + upper) / 2
    median, start = mean.copy(), np.concatenate([[0], np.searchsorted(t, edges, "right"), [len(t)]])
    for k, (a, b) in enumerate(pairwise(start)):
        if b > a:
            mean[k], median[k] = t[a:b].mean(dtype=np.float64), np.median(t[a:b])
    return Bins(edges, lower, upper, mean, median, np.diff(start).astype(np.int64))
