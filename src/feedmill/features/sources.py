"""Where each field and each number of a spec comes from: the state's answers, as of each request."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from feedmill.core.batches import LANE_ROW, QUERY_LANES, Floats, Rows
from feedmill.features.cells import cells
from feedmill.features.searches import IDS_PER_SEARCH, search_ids
from feedmill.features.spec import CELL, FeatureSpec, Field, Numeric
from feedmill.state import CROSS, Catalogue, Probed, State

HOUR_MS = 3_600_000


def raw_ids(field: Field, state: State, probed: Probed) -> Rows:
    """int32[n, width] state rows or attribute codes of one field, before rare ids are dropped."""
    users = probed.users
    name = field.source.partition(".")[2]
    if field.source in _SOURCES:
        return _SOURCES[field.source](state.catalogue, probed)
    if name.startswith(CELL):
        return _cells(state.catalogue, probed, name, field.side)
    if name in QUERY_LANES:
        return search_ids(
            state,
            _widen(users.history[:, LANE_ROW[name], : field.width // IDS_PER_SEARCH], field.width // IDS_PER_SEARCH),
        )
    if name in LANE_ROW:
        return _widen(users.history[:, LANE_ROW[name], : field.width], field.width)
    return codes(state.catalogue, probed, name, field.side)[:, None]


def codes(catalogue: Catalogue, probed: Probed, name: str, side: str) -> Rows:
    """int32[n] codes of one attribute of the users or items, 0 where the requests did not know it yet."""
    if side == "user":
        known, at = probed.users.profile, catalogue.user_attributes.index(name)
    elif probed.facts is None:
        return catalogue.item_codes(name)[probed.item]
    else:
        known, at = probed.facts.codes, catalogue.item_attributes.index(name)
    return known[:, at] if at < known.shape[1] else np.zeros(len(known), np.int32)


def _widen(rows: Rows, width: int) -> Rows:
    """Padded with 0 where the state keeps less than the spec reads."""
    return rows if rows.shape[1] == width else np.pad(rows, ((0, 0), (0, width - rows.shape[1])))


def _cells(catalogue: Catalogue, probed: Probed, name: str, side: str) -> Rows:
    """Places as cells; of "geohash/LENGTH/LATITUDE/LONGITUDE"."""
    length, *attributes = name.removeprefix(CELL).split("/")
    north, east = (_numbers(catalogue, probed, attribute, side) for attribute in attributes)
    return cells(north, east, int(length))[:, None]


def _numbers(catalogue: Catalogue, probed: Probed, name: str, side: str) -> Floats:
    """float32[n] of an attribute as a number, NaN where it is none or unknown."""
    of = catalogue.numbers(name, of="user" if side == "user" else "item")
    return of[codes(catalogue, probed, name, side)]


_SOURCES: dict[str, Callable[[Catalogue, Probed], Rows]] = {
    "user.id": lambda _, p: p.users.row[:, None],
    "user.hour": lambda _, p: (p.users.time_ms // HOUR_MS % 24 + 1).astype(np.int32)[:, None],
    # 1970-01-01 was a Thursday
    "user.weekday": lambda _, p: ((p.users.time_ms // (24 * HOUR_MS) + 3) % 7 + 1).astype(np.int32)[:, None],
    "user.liked_topics": lambda _, p: p.users.liked_topics,
    "item.id": lambda _, p: p.item[:, None],
    "item.author": lambda c, p: (c.author[p.item] if p.facts is None else p.facts.author)[:, None],
    "item.topics": lambda c, p: c.topics[p.item] if p.facts is None else p.facts.topics,
}


def raw_numeric(spec: FeatureSpec, numeric: Numeric, state: State, probed: Probed, prior: float) -> Floats:
    """float32[n] of one source, in the unit the state keeps it in; a rate is pulled towards its prior."""
    entity, _, rest = numeric.source.partition(".")
    users = probed.users
    if entity == "example":  # requests that are served are newer than what was learned from: 0
        return (np.maximum(spec.until_ms - users.time_ms, 0) / 1e3).astype(np.float32)
    if entity == "since":
        since = users.first_ms if rest == "first_s" else users.last_ms
        never = 0.0 if rest == "first_s" else np.inf  # who has done nothing is new, and has been away for ever
        passed = np.maximum(users.time_ms - since, 0) / 1e3
        return np.where(since != 0, passed, never).astype(np.float32)
    if entity == "attribute":
        return _numbers(state.catalogue, probed, rest, numeric.side)
    if entity == "cross":
        values = probed.cross[:, CROSS.index(rest)]
        return np.where(np.isnan(values), np.float32(np.inf), values) if rest.endswith("_last_s") else values
    if entity != "rate":
        return counts(probed, entity, rest)
    entity, _, ratio = rest.partition(".")
    above, _, below = ratio.partition("/")
    k = spec.prior_count
    return (counts(probed, entity, above) + k * prior) / (counts(probed, entity, below) + k)


def counts(probed: Probed, entity: str, name: str) -> Floats:
    """float32[n] of one counter of one entity, decayed to the request's time."""
    return BLOCKS[entity](probed)[:, probed.count_names.index(name)]


BLOCKS: dict[str, Callable[[Probed], Floats]] = {
    "user": lambda p: p.users.counts,
    "item": lambda p: p.item_counts,
    "author": lambda p: p.author_counts,
    "topic": lambda p: p.topic_counts,
    "user_topic": lambda p: p.pair_counts,
}
