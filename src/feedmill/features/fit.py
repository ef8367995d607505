"""Fit a FeatureSpec to a log: which fields there are, which ids are frequent enough, how numbers are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError
from feedmill.features.quantile import fit_edges
from feedmill.features.searches import IDS_PER_SEARCH
from feedmill.features.sources import BLOCKS, counts, raw_ids, raw_numeric
from feedmill.features.spec import CELL, FeaturesConfig, FeatureSpec, Field, Numeric, lanes
from feedmill.state import CROSS, TOPIC_WIDTH, Catalogue, Probed, State

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
    fields = fields_of(config, state.catalogue)
    slots = {
        table: _slots([f for f in fields if f.table == table], state, probed, config)
        for table in dict.fromkeys(f.table for f in fields)
    }
    fields = [f for f in fields if slots[f.table].any()]
    numerics = [n for n in numerics_of(config, probed) if not _constant(n, config, state, probed)]
    spec = FeatureSpec(
        fields=tuple(fields),
        numerics=tuple(numerics),
        tables={t: int(s.max()) for t, s in slots.items() if s.any()},
        n_quantiles=config.n_quantiles,
        prior_count=config.prior_count,
        state_hash=state.settings_hash,
        until_ms=_newest(probed) if config.example_age else 0,
        attention=_attention(config, fields),
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


def fields_of(config: FeaturesConfig, catalogue: Catalogue) -> list[Field]:
    """Every field that is asked for, whether or not it turns out to say anything."""
    return [f for f in _fields(config, catalogue) if _wanted(f, config)]


def _fields(config: FeaturesConfig, catalogue: Catalogue) -> Iterable[Field]:
    yield Field("user", "user", "user.id", "user")
    for lane, n in lanes(config):
        yield Field(f"{lane}_{n}", "user", f"user.{lane}", "item", n)
    if config.liked_topics:
        yield Field("liked_topics", "user", "user.liked_topics", "topic", TOPIC_WIDTH)
    if config.searches:
        yield Field("searched", "user", "user.searched", "word", config.searches * IDS_PER_SEARCH)
    if config.context:
        yield Field("hour", "user", "user.hour", "hour")
        yield Field("weekday", "user", "user.weekday", "weekday")
    yield Field("item", "item", "item.id", "item candidate" if config.separate_items else "item")
    yield Field("author", "item", "item.author", "author")
    yield Field("topics", "item", "item.topics", "topic", TOPIC_WIDTH)
    of: tuple[tuple[Literal["user", "item"], tuple[str, ...]], ...]
    of = (("user", catalogue.user_attributes), ("item", catalogue.item_attributes))
    place = (config.latitude, config.longitude)
    for side, names in of:
        for n in config.geohash if set(place) <= set(names) else ():
            yield Field(f"{side}_geohash_{n}", side, f"{side}.{CELL}{n}/{'/'.join(place)}", f"geohash_{n}")
        for name in names if config.attributes else ():
            if not (config.geohash and name in place):
                yield Field(name, side, f"{side}.{name}", f"{side}.{name}")


def _attention(config: FeaturesConfig, fields: list[Field]) -> tuple[str, ...]:
    """Names of the fields of the longest history of each attended lane.

    Raises:
        ConfigError: a lane that is not among the histories, or candidates that share no table with them.
    """
    asked = config.attention if config.numbers == "all" else ()
    if asked and config.separate_items:
        raise ConfigError("features.attention with separate_items", "one table: a candidate is compared with history")
    chosen = []
    for lane in asked:
        if lane not in config.histories:
            known = list(config.histories)
            raise ConfigError(f'features.attention: no history "{lane}"', f"some of {known}", nearest(lane, known))
        of_lane = [f for f in fields if f.source == f"user.{lane}"]
        if of_lane and any(f.source == "item.id" for f in fields):
            chosen.append(max(of_lane, key=lambda f: f.width).name)
    return tuple(chosen)


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


def numerics_of(config: FeaturesConfig, probed: Probed) -> list[Numeric]:
    """Every number that is asked for: counters, rates, cross features, attributes."""
    entities = [name for name, block in BLOCKS.items() if block(probed).shape[1]]
    names = [f"{entity}.{name}" for entity in entities for name in probed.count_names]
    names += [f"cross.{name}" for name in CROSS]
    names += [f"rate.{entity}.{ratio}" for entity in entities for ratio in config.rates if _counted(ratio, probed)]
    found = [Numeric(name, "user" if ".user." in f".{name}" else "item") for name in names]
    found = [n for n in found if _NUMBERS[config.numbers](n)]
    if config.numbers != "none":
        found += [Numeric(f"attribute.{name}", "user") for name in config.numeric_attributes]
        if config.activity:
            found += [Numeric("since.first_s", "user"), Numeric("since.last_s", "user")]
    if config.numbers in ("all", "static"):
        found += [Numeric(f"attribute.{name}", "item") for name in config.numeric_item_attributes]
    if config.example_age:
        found.append(Numeric("example.age_s", "user"))
    return found


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
