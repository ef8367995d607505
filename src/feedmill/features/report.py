"""How much each feature says, and whether it still says the same: coverage and drift between two parts of a log.

Drift is the population stability index, sum (q - p) log(q / p) over bins, p the shares of the earlier part and q of the
later one: a symmetrised Kullback-Leibler divergence. By custom 0.1 is worth a look and 0.25 is another population. Two
parts of n and m rows drawn from one population and k bins differ by about (k - 1)(1/n + 1/m) all the same; that is the
column ``noise``.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.errors import DataError
from feedmill.core.protocols import Arrays
from feedmill.features.fit import fields_of, numerics_of
from feedmill.features.quantile import with_powers
from feedmill.features.sources import raw_ids, raw_numeric
from feedmill.features.spec import FeaturesConfig, FeatureSpec, Field, Numeric
from feedmill.metrics.stability import stability
from feedmill.state import Probed, State

N_BINS = 10  # of a number, by the quantiles of training, beside those for unknown, never, and beyond either end
TOP_IDS = 20  # ids with a bin of their own; all others share one, and rows without an id another
SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
_SMALL = 0.5  # rows that an empty bin is taken to have


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One feature.

    Attributes:
        name, side, source: as the spec has them; of a number the name is its source.
        kind: "ids" or "number".
        in_model: False: asked for, but it says nothing (no id is frequent enough, or the number never changes).
        known: share of rows with an id, or with a finite number.
        used: share of rows with an id that has a vector of its own, or with a number that is not zero.
        distinct: ids, or numbers.
        quantiles: of the finite numbers, at ``SHARES``; empty of ids.
        drift: population stability index of the later part against the earlier one.
        moved: half the sum of the absolute differences of the bins' shares: how much of the rows is elsewhere.
        noise: about what ``drift`` would be without any.
    """

    name: str
    side: str
    source: str
    kind: str
    in_model: bool
    known: float
    used: float
    distinct: int
    quantiles: tuple[float, ...]
    drift: float
    moved: float
    noise: float


def report(
    config: FeaturesConfig, spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, n_earlier: int
) -> list[Line]:
    """Every feature that the config asks for, the most drifted first.

    Args:
        spec, arrays: fitted on the earlier part, or by an earlier training.
        probed: R requests in order of time.
        n_earlier: how many of them are the earlier part.

    Raises:
        DataError: one of the parts is empty.
    """
    cut = {"user": n_earlier, "item": int(np.searchsorted(probed.request_of, n_earlier))}
    n = {"user": len(probed.users), "item": len(probed)}
    if not all(0 < cut[side] < n[side] for side in n):
        raise DataError(
            f"{n_earlier:,} of {n['user']:,} requests in the earlier part", "some in both", "move the cut, or use more"
        )
    fields, numbers = fields_of(config, state.catalogue), numerics_of(config, probed)
    lines = [_of_ids(f, spec, arrays, state, probed, cut[f.side]) for f in fields]
    lines += [_of_number(x, spec, arrays, state, probed, cut[x.side]) for x in numbers]
    return sorted(lines, key=lambda line: (-line.drift, line.name))


def _of_ids(field: Field, spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, cut: int) -> Line:
    ids = raw_ids(field, state, probed)
    slots = arrays[f"slots.{field.table}"] if field in spec.fields else np.zeros(1, np.int32)
    has_vector = np.asarray(slots.take(np.where(ids < len(slots), ids, 0)) > 0)
    seen = np.bincount(ids.ravel())
    seen[:1] = 0
    top = np.argsort(-seen, kind="stable")[: min(TOP_IDS, int((seen > 0).sum()))]
    drift, moved, noise = compare(*_bags(ids, top, cut))
    return Line(
        name=field.name,
        side=field.side,
        source=field.source,
        kind="ids",
        in_model=field in spec.fields,
        known=_share(ids.any(axis=1)),
        used=_share(has_vector.any(axis=1)),
        distinct=int((seen > 0).sum()),
        quantiles=(),
        drift=drift,
        moved=moved,
        noise=noise,
    )


def _bags(ids: Rows, top: NDArray[np.intp], cut: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many ids of each part are in each bin: the top ones, others; and how many rows have none."""
    bin_of = np.full(int(ids.max(initial=0)) + 1, len(top), np.int64)
    bin_of[top] = np.arange(len(top))
    counts = []
    for part in (ids[:cut], ids[cut:]):
        n = np.bincount(bin_of[part[part > 0]], minlength=len(top) + 1)
        counts.append(np.append(n, int((~part.any(axis=1)).sum())))
    return counts[0], counts[1]


def _of_number(number: Numeric, spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, cut: int) -> Line:
    at = spec.numerics.index(number) if number in spec.numerics else None
    values = raw_numeric(spec, number, state, probed, float(arrays["prior"][at]) if at is not None else 0.0)
    finite = values[np.isfinite(values)]
    bins = _bins(values, arrays["edges"][at]) if at is not None else np.zeros(len(values), np.int64)
    drift, moved, noise = compare(*(np.bincount(part, minlength=N_BINS + 4) for part in (bins[:cut], bins[cut:])))
    return Line(
        name=number.source,
        side=number.side,
        source=number.source,
        kind="number",
        in_model=at is not None,
        known=len(finite) / len(values),
        used=_share(np.isfinite(values) & (values != 0)),
        distinct=len(np.unique(finite)),
        quantiles=tuple(float(q) for q in np.quantile(finite, SHARES)) if len(finite) else (),
        drift=drift,
        moved=moved,
        noise=noise,
    )


def _bins(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """int64[n]: tenths of the fitted distribution, then unknown, never, below all that was fitted, and above."""
    x = with_powers(np.ascontiguousarray(values[None, :]), np.ascontiguousarray(edges[None, :]))[:, 0]
    tenth = np.minimum((x * N_BINS).astype(np.int64), N_BINS - 1)
    beyond = [np.isnan(values), np.isinf(values), values < edges[0], values > edges[-1]]
    return np.select(beyond, [N_BINS + i for i in range(len(beyond))], tenth)


def compare(earlier: NDArray[np.int64], later: NDArray[np.int64]) -> tuple[float, float, float]:
    """Population stability index, total variation, and the index to be expected of chance, of counts by bin."""
    kept = earlier + later > 0
    n, m = max(int(earlier.sum()), 1), max(int(later.sum()), 1)
    p, q = np.maximum(earlier[kept], _SMALL) / n, np.maximum(later[kept], _SMALL) / m
    moved = 0.5 * np.abs(earlier[kept] / n - later[kept] / m).sum()
    return stability(p, q), float(moved), (int(kept.sum()) - 1) * (1 / n + 1 / m)


def _share(mask: Mask | np.bool_) -> float:
    return float(np.mean(mask))
