"""A spec that goes on: the same fields and numbers, more ids.

The weights of a model read its inputs by place, so a model that learns on keeps the fields and numbers of its spec.
Ids that it meets get rows behind those of their table, and every id keeps its own. Quantiles and priors of numbers
stay: fitted anew every night, they would move the inputs under weights that have one pass to follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.protocols import Arrays
from feedmill.features.fit import IDENTITY, ITEM_TABLES
from feedmill.features.sources import raw_ids
from feedmill.features.spec import FeatureSpec
from feedmill.state import Probed, State

USER_TABLE = "user"  # of user ids alone


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """What is to be added.

    Attributes:
        min_count: ids seen less often in the rows that are learned from stay without a row; users need one.
        top_items: items get no rows beyond so many; 0 = no limit.
        room: rows for so many users to come. State rows are given in order, so who comes next is known by number, and
            can be learned of before the next pass.
    """

    min_count: int = 2
    top_items: int = 0
    room: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """A spec with its arrays, and where its rows were.

    Attributes:
        before: int32[V] the row of the old table that each new row was, -1 = there was none.
    """

    spec: FeatureSpec
    arrays: dict[str, NDArray[Any]]
    before: Rows

    def table(self, old: Floats) -> Floats:
        """float32[V, D] from the old table: rows move, and new ones are the mean of their table, a typical id.

        Args:
            old: float32[V_old, D].
        """
        out = np.zeros((len(self.before), old.shape[1]), np.float32)
        had = self.before >= 0
        out[had] = old[self.before[had]]
        for name, offset in self.spec.offsets().items():
            rows = slice(offset + 1, offset + 1 + self.spec.tables[name])
            if had[rows].any():
                out[rows][~had[rows]] = out[rows][had[rows]].mean(axis=0, dtype=np.float64).astype(np.float32)
        return out


def grown(spec: FeatureSpec, arrays: Arrays, state: State, probed: Probed, growth: Growth) -> Grown:
    """The spec with the ids of new rows to learn from.

    Args:
        arrays: of ``features.fit`` or of an earlier growth; others in it are left out.
        probed: requests to learn from, with their candidates.
    """
    slots = {
        name: _slots(name, spec, np.asarray(arrays[f"slots.{name}"]), state, probed, growth) for name in spec.tables
    }
    tables = {name: max(n, int(slots[name].max(initial=0))) for name, n in spec.tables.items()}
    until_ms = int(probed.users.time_ms.max(initial=spec.until_ms)) if spec.until_ms else 0
    new = structs.replace(spec, tables=tables, until_ms=until_ms)
    made: dict[str, NDArray[Any]] = {f"slots.{name}": rows for name, rows in slots.items()}
    made["prior"], made["edges"] = np.asarray(arrays["prior"]), np.asarray(arrays["edges"])
    before = np.full(new.n_rows, -1, np.int32)
    before[0] = 0
    for name, offset in new.offsets().items():
        n, was = spec.tables[name], spec.offsets()[name]
        before[offset + 1 : offset + 1 + n] = np.arange(was + 1, was + 1 + n)
    return Grown(new, made, before)


def _slots(name: str, spec: FeatureSpec, old: Rows, state: State, probed: Probed, growth: Growth) -> Rows:
    """int32[rows]: the old slots, and behind them those of ids that are new."""
    if name in IDENTITY:
        return old
    is_user = name == USER_TABLE
    bags = [raw_ids(f, state, probed).ravel() for f in spec.fields if f.table == name]
    seen = np.bincount(np.concatenate(bags), minlength=len(old))
    wanted = seen >= (1 if is_user else growth.min_count)
    wanted[: len(old)] &= old == 0
    wanted[0] = False
    n = int(old.max(initial=0))
    if growth.top_items and name in ITEM_TABLES:
        new = np.flatnonzero(wanted)
        wanted[new[max(growth.top_items - n, 0) :]] = False
    if is_user and growth.room:
        first = len(state.users)
        wanted = np.concatenate([wanted, np.zeros(max(first + growth.room - len(wanted), 0), bool)])
        wanted[first : first + growth.room] = True
        wanted[: len(old)] &= old == 0
    out = np.zeros(len(wanted), np.int32)
    out[: len(old)] = old
    out[wanted] = n + 1 + np.arange(int(wanted.sum()), dtype=np.int32)
    return out
