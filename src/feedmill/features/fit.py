"""Fit a FeatureSpec to a log: which fields there are, which ids are frequent enough, how numbers are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.features.assemble import counts, raw_ids, raw_numeric
from feedmill.features.quantile import fit_edges
from feedmill.features.searches import IDS_PER_SEARCH
from feedmill.features.spec import FeaturesConfig, FeatureSpec, Field, Numeric, lanes
from feedmill.state import CROSS, TOPIC_WIDTH, Catalogue, Probed, State

ENTITIES = ("user", "item", "author", "topic")
ITEM_TABLES = ("item", "item candidate")  # of histories and candidates, or of candidates alone
IDENTITY = {"hour": 24, "weekday": 7}  # tables of a fixed size, every id kept
FIT_ROWS = 200_000  # rows the quantiles are read from


def fit(config: FeaturesConfig, state: State, probed: Probed) -> tuple[FeatureSpec, dict[str, NDArray[Any]]]:
    """The spec of this log and the arrays ``assemble`` needs.

    Args:
        probed: training requests with their candidates, as of each request.

    Returns:
        spec, and arrays ``slots.<table>`` int32[rows] (0 = rare), ``edges`` float32[N, Q], ``prior`` float32[N].
    """
    fields = [f for f in _fields(config, state.catalogue) if _wanted(f, config)]
    slots = {
        table: _slots([f for f in fields if f.table == table], state, probed, config)
        for table in dict.fromkeys(f.table for f in fields)
    }
    fields = [f for f in fields if slots[f.table].any()]
    numerics = _numerics(config, state, probed)
    spec = FeatureSpec(
        fields=tuple(fields),
        numerics=tuple(numerics),
        tables={t: int(s.max()) for t, s in slots.items() if s.any()},
        n_quantiles=config.n_quantiles,
        prior_count=config.prior_count,
        state_hash=state.settings_hash,
        until_ms=_newest(probed) if config.example_age else 0,
    )
    arrays: dict[str, NDArray[Any]] = {f"slots.{t}": slots[t] for t in spec.tables}
    arrays["prior"] = np.array([_prior(n, probed) for n in numerics], np.float32)
    rows = slice(None, None, max(1, len(probed.item) // FIT_ROWS))
    edges = [
        fit_edges(raw_numeric(spec, n, state, probed, float(p))[rows], config.n_quantiles)
        for n, p in zip(numerics, arrays["prior"], strict=True)
    ]
    arrays["edges"] = np.stack(edges) if edges else np.zeros((0, config.n_quantiles), np.float32)
    return spec, arrays


def _fields(config: FeaturesConfig, catalogue: Catalogue) -> Iterable[Field]:
    yield Field("user", "user", "user.id", "user")
    for lane, n in lanes(config):
        yield Field(f"{lane}_{n}", "user", f"user.{lane}", "item", n)
    if config.searches:
        yield Field("searched", "user", "user.searched", "word", config.searches * IDS_PER_SEARCH)
    if config.context:
        yield Field("hour", "user", "user.hour", "hour")
        yield Field("weekday", "user", "user.weekday", "weekday")
    yield Field("item", "item", "item.id", "item candidate" if config.separate_items else "item")
    yield Field("author", "item", "item.author", "author")
    yield Field("topics", "item", "item.topics", "topic", TOPIC_WIDTH)
    if config.attributes:
        for name in catalogue.user_attributes:
            yield Field(name, "user", f"user.{name}", f"user.{name}")
        for name in catalogue.item_attributes:
            yield Field(name, "item", f"item.{name}", f"item.{name}")


def _wanted(field: Field, config: FeaturesConfig) -> bool:
    kept = not config.only or any(fnmatch(field.source, pattern) for pattern in config.only)
    return kept and not any(fnmatch(field.source, pattern) for pattern in config.leave_out)


def _slots(fields: list[Field], state: State, probed: Probed, config: FeaturesConfig) -> NDArray[np.int32]:
    """int32[rows]: the slot of every id frequent enough in any field of the table, numbered from 1."""
    if fields[0].table in IDENTITY:
        return np.arange(IDENTITY[fields[0].table] + 1, dtype=np.int32)
    bags = [raw_ids(f, state, probed).ravel() for f in fields]
    seen = np.bincount(np.concatenate(bags), minlength=1)
    kept = seen >= config.min_count
    kept[0] = False
    if config.top_items and fields[0].table in ITEM_TABLES:
        most = np.argsort(-seen * kept, kind="stable")[: config.top_items]
        kept &= np.isin(np.arange(len(seen)), most)
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)


def _numerics(config: FeaturesConfig, state: State, probed: Probed) -> list[Numeric]:
    """Every counter, rate and cross feature that is not the same on all training rows."""
    names = [f"{entity}.{name}" for entity in ENTITIES for name in probed.count_names]
    names += [f"cross.{name}" for name in CROSS]
    names += [f"rate.{entity}.{ratio}" for entity in ENTITIES for ratio in config.rates if _counted(ratio, probed)]
    found = [Numeric(name, "user" if ".user." in f".{name}" else "item") for name in names]
    found = [n for n in found if _NUMBERS[config.numbers](n)]
    if config.numbers != "none":
        found += [Numeric(f"attribute.{name}", "user") for name in config.numeric_attributes]
    if config.example_age:
        found.append(Numeric("example.age_s", "user"))
    return [n for n in found if not _constant(n, config, state, probed)]


_NUMBERS: dict[str, Callable[[Numeric], bool]] = {
    "all": lambda n: True,
    "static": lambda n: n.side == "user" or n.source == "cross.duration_s",
    "user": lambda n: n.side == "user",
    "none": lambda n: False,
}


def _newest(probed: Probed) -> int:
    return int(probed.users.time_ms.max(initial=0))


def _counted(ratio: str, probed: Probed) -> bool:
    return set(ratio.split("/")) <= set(probed.count_names)


def _constant(numeric: Numeric, config: FeaturesConfig, state: State, probed: Probed) -> bool:
    spec = FeatureSpec((), (), {}, config.n_quantiles, config.prior_count, "", _newest(probed))
    values = raw_numeric(spec, numeric, state, probed, 0.0)
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
