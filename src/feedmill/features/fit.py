"""Fit a FeatureSpec to a log: which fields there are, which ids are frequent enough, how numbers are distributed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.features.assemble import counts, raw_ids, raw_numeric
from feedmill.features.quantile import fit_edges
from feedmill.features.spec import FeaturesConfig, FeatureSpec, Field, Numeric, lanes
from feedmill.state import CROSS, TOPIC_WIDTH, Catalogue, Probed, State

ENTITIES = ("user", "item", "author", "topic")
IDENTITY = {"hour": 24, "weekday": 7}  # tables of a fixed size, every id kept
FIT_ROWS = 200_000  # rows the quantiles are read from


def fit(
    config: FeaturesConfig, state: State, probed: Probed, *, numeric: bool = True
) -> tuple[FeatureSpec, dict[str, NDArray[Any]]]:
    """The spec of this log and the arrays ``assemble`` needs.

    Args:
        probed: training requests with their candidates, as of each request.
        numeric: False for towers, whose item side must not change between publishes.

    Returns:
        spec, and arrays ``slots.<table>`` int32[rows] (0 = rare), ``edges`` float32[N, Q], ``prior`` float32[N].
    """
    fields = list(_fields(config, state.catalogue))
    slots = {
        table: _slots([f for f in fields if f.table == table], state.catalogue, probed, config.min_count)
        for table in dict.fromkeys(f.table for f in fields)
    }
    fields = [f for f in fields if slots[f.table].any()]
    numerics = _numerics(config, probed) if numeric else []
    spec = FeatureSpec(
        fields=tuple(fields),
        numerics=tuple(numerics),
        tables={t: int(s.max()) for t, s in slots.items() if s.any()},
        n_quantiles=config.n_quantiles,
        prior_count=config.prior_count,
        state_hash=state.settings_hash,
    )
    arrays: dict[str, NDArray[Any]] = {f"slots.{t}": slots[t] for t in spec.tables}
    arrays["prior"] = np.array([_prior(n, probed) for n in numerics], np.float32)
    rows = slice(None, None, max(1, len(probed.item) // FIT_ROWS))
    edges = [
        fit_edges(raw_numeric(spec, n, probed, float(p))[rows], config.n_quantiles)
        for n, p in zip(numerics, arrays["prior"], strict=True)
    ]
    arrays["edges"] = np.stack(edges) if edges else np.zeros((0, config.n_quantiles), np.float32)
    return spec, arrays


def _fields(config: FeaturesConfig, catalogue: Catalogue) -> Iterable[Field]:
    yield Field("user", "user", "user.id", "user")
    for lane, n in lanes(config):
        yield Field(f"{lane}_{n}", "user", f"user.{lane}", "item", n)
    if config.context:
        yield Field("hour", "user", "user.hour", "hour")
        yield Field("weekday", "user", "user.weekday", "weekday")
    yield Field("item", "item", "item.id", "item")
    yield Field("author", "item", "item.author", "author")
    yield Field("topics", "item", "item.topics", "topic", TOPIC_WIDTH)
    if config.attributes:
        for name in catalogue.user_attributes:
            yield Field(name, "user", f"user.{name}", f"user.{name}")
        for name in catalogue.item_attributes:
            yield Field(name, "item", f"item.{name}", f"item.{name}")


def _slots(fields: list[Field], catalogue: Catalogue, probed: Probed, min_count: int) -> NDArray[np.int32]:
    """int32[rows]: the slot of every id frequent enough in any field of the table, numbered from 1."""
    if fields[0].table in IDENTITY:
        return np.arange(IDENTITY[fields[0].table] + 1, dtype=np.int32)
    bags = [raw_ids(f, catalogue, probed).ravel() for f in fields]
    seen = np.bincount(np.concatenate(bags), minlength=1)
    kept = seen >= min_count
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)


def _numerics(config: FeaturesConfig, probed: Probed) -> list[Numeric]:
    """Every counter, rate and cross feature that is not the same on all training rows."""
    names = [f"{entity}.{name}" for entity in ENTITIES for name in probed.count_names]
    names += [f"cross.{name}" for name in CROSS]
    names += [f"rate.{entity}.{ratio}" for entity in ENTITIES for ratio in config.rates if _counted(ratio, probed)]
    sides: list[Numeric] = []
    for name in names:
        numeric = Numeric(name, "user" if ".user." in f".{name}" else "item")
        if not _constant(numeric, config, probed):
            sides.append(numeric)
    return sides


def _counted(ratio: str, probed: Probed) -> bool:
    return set(ratio.split("/")) <= set(probed.count_names)


def _constant(numeric: Numeric, config: FeaturesConfig, probed: Probed) -> bool:
    spec = FeatureSpec((), (), {}, config.n_quantiles, config.prior_count, "")
    values = raw_numeric(spec, numeric, probed, 0.0)
    finite = values[np.isfinite(values)]
    return len(finite) == 0 or (len(finite) == len(values) and bool((finite == finite[0]).all()))


def _prior(numeric: Numeric, probed: Probed) -> float:
    """The overall ratio of a rate's two counters."""
    if not numeric.source.startswith("rate."):
        return 0.0
    entity, _, ratio = numeric.source.removeprefix("rate.").partition(".")
    above, _, below = ratio.partition("/")
    total = float(counts(probed, entity, below).sum(dtype=np.float64))
    return float(counts(probed, entity, above).sum(dtype=np.float64)) / total if total > 0 else 0.0
