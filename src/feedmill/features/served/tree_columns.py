"""The features of a FeatureBatch as the columns of a table, which is what trees read.

Numbers come once, as ``assemble`` normalises them: a tree does not care for the scale, nor for x² and sqrt(x). An id
of few values is a category. An id of many values (user, item, author) is left out, for its counters and rates stand
among the numbers and do not have to be learned by heart. A bag is its share of known ids, and where its table is small
also a column for each id: whether the bag has it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from feedmill.core.batches import Floats, Rows
from feedmill.features.assemble import FeatureBatch
from feedmill.features.spec import FeatureSpec, Field


class TreeColumn(msgspec.Struct, frozen=True):
    """One column, or ``width`` of them where ``kind`` is "has".

    Attributes:
        at: where it stands in ``user_numeric``, ``user_ids`` and so on; of a bag the first of its ids.
        bag: ids in the bag.
        offset: of the field's table in the fused numbering, so that categories count from 1; 0 is rare or unknown.
    """

    name: str
    side: Literal["user", "item"]
    kind: Literal["number", "category", "known", "has"]
    at: int
    bag: int = 1
    offset: int = 0
    width: int = 1


def tree_columns(spec: FeatureSpec, max_categories: int) -> tuple[TreeColumn, ...]:
    """The columns of a spec, in order: numbers of users and of items, then fields.

    Args:
        max_categories: an id with more values than this is not a category.
    """
    columns: list[TreeColumn] = []
    for side in _SIDES:
        columns += [TreeColumn(n.source, side, "number", i) for i, n in enumerate(spec.numeric(side))]
    for side in _SIDES:
        for field, at in zip(spec.side(side), spec.starts(side), strict=False):
            columns += _of_field(field, at, spec, max_categories)
    return tuple(columns)


_SIDES: tuple[Literal["user", "item"], ...] = ("user", "item")


def _of_field(field: Field, at: int, spec: FeatureSpec, max_categories: int) -> list[TreeColumn]:
    n, offset = spec.tables[field.table], spec.offsets()[field.table]
    is_small = n <= max_categories
    if field.width == 1:
        return [TreeColumn(field.name, field.side, "category", at, 1, offset)] if is_small else []
    known = TreeColumn(f"{field.name}: known", field.side, "known", at, field.width)
    has = TreeColumn(f"{field.name}: has", field.side, "has", at, field.width, offset, n)
    return [known, has] if is_small else [known]


def categorical(columns: tuple[TreeColumn, ...]) -> list[int]:
    """Which places of ``matrix`` hold categories."""
    starts = np.cumsum([0, *(c.width for c in columns)])
    return [int(at) for c, at in zip(columns, starts, strict=False) if c.kind == "category"]


def matrix(columns: tuple[TreeColumn, ...], batch: FeatureBatch) -> Floats:
    """float32[C, M]: a row for each candidate, with what is known of its user repeated."""
    n_requests, n = len(batch.user_ids), len(batch.request_of)
    width = {side: sum(c.width for c in columns if c.side == side) for side in _SIDES}
    tables = {
        "user": np.empty((n_requests, width["user"]), np.float32),
        "item": np.empty((n, width["item"]), np.float32),
    }
    out = np.empty((n, sum(width.values())), np.float32)
    filled, places = {"user": 0, "item": 0}, {"user": [], "item": []}  # type: ignore[var-annotated]
    at = 0
    for c in columns:
        to = filled[c.side]
        ids = batch.user_ids if c.side == "user" else batch.item_ids
        numbers = batch.user_numeric if c.side == "user" else batch.item_numeric
        _fill(tables[c.side][:, to : to + c.width], c, ids, numbers)
        filled[c.side] += c.width
        places[c.side] += range(at, at + c.width)
        at += c.width
    out[:, places["user"]] = tables["user"][batch.request_of]
    out[:, places["item"]] = tables["item"]
    return out


def _fill(out: Floats, c: TreeColumn, ids: Rows, numbers: Floats) -> None:
    if c.kind == "number":
        out[:, 0] = numbers[:, c.at]
        return
    bag = ids[:, c.at : c.at + c.bag]
    if c.kind == "category":
        out[:, 0] = np.where(bag[:, 0] > 0, bag[:, 0] - c.offset, 0)
    elif c.kind == "known":
        out[:, 0] = (bag > 0).mean(axis=1)
    else:
        out[:] = 0
        row, place = np.nonzero(bag)
        out[row, bag[row, place] - c.offset - 1] = 1
