"""Taking forgotten people out of a state in place: rows and codes stay where they are, what was in them goes.

What others' rows hold is not touched. A state made by a replay of the rewritten log answers the same, but for pairs of
users and topics that had to give way to the forgotten user's, and numbers its blocks of ``seen`` anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from feedmill.core.batches import LANE_ROW, QUERY_LANES
from feedmill.core.protocols import Erasure
from feedmill.state.arrays import BLOCK_OF, NEVER, RARE
from feedmill.state.found import QUERY, VALUE, Word

if TYPE_CHECKING:
    from feedmill.state.state import State

USER = "user"  # the table of people in ``Erasure.renames``


def erase(state: State, erasures: Iterable[Erasure]) -> list[str]:
    """Do to a state what was done to its log; the ids that are gone. The caller holds the lock.

    What the state has not come to yet it will read as it stands in the log now.
    """
    gone = []
    for erasure in erasures:
        for table, row, text in erasure.renames:
            if table == USER and row < len(state.users) and state.users.id(row) != text:
                gone.append(state.users.id(row))
                state.users.rename(row, text)
                empty(state, row)
            elif table == QUERY and row < len(state.queries) and state.queries.id(row) != text:
                state.queries.rename(row, text)
            elif table.startswith(VALUE):
                _rename_value(state, table.removeprefix(VALUE), row, text)
        state.users.retold = dict(erasure.digests)
        state.epoch = erasure.epoch
    return gone


def _rename_value(state: State, name: str, code: int, text: str) -> None:
    known = state.attributes["user"]
    if name in known.names and code < len(known.values(name)) and known.text(name, code) != text:
        known.rename(name, code, text)


def empty(state: State, row: int) -> None:
    """Let a user's row hold what that of somebody who has never done anything holds."""
    a = state.tables.arrays
    block = int(a.heads[row, BLOCK_OF])
    while block:
        before = int(a.seen[block, 0])
        a.seen[block] = 0
        block = before
    for array in (a.heads, a.recent, a.recent_ms, a.rare, a.rare_ms, a.user_sums, a.user_first_ms):
        array[row] = 0
    a.user_ms[row] = NEVER
    a.user_codes[:, row] = 0
    pairs = np.flatnonzero(a.pair_keys >> 32 == row)
    a.pair_keys[pairs], a.pair_ms[pairs], a.pair_sums[pairs] = 0, NEVER, 0


def held(state: State, rows: list[int]) -> tuple[set[Word], set[Word]]:
    """The words that the state has of some users now, and those of them that it has of others too."""
    mine: set[Word] = set()
    others: set[Word] = set()
    names, sizes = state.attributes["user"], state.tables.sizes
    is_theirs = np.zeros(sizes.users, np.bool_)
    is_theirs[rows] = True
    for name in names.names:
        codes = state.catalogue.user_codes(name)
        for code in np.unique(codes[is_theirs]).tolist():
            if code:
                word = (VALUE + name, names.text(name, code))
                mine.add(word)
                if (codes[~is_theirs] == code).any():
                    others.add(word)
    for lane in QUERY_LANES:
        ring = LANE_ROW[lane]
        histories = state.tables.arrays.recent[:, ring] if ring < RARE else state.tables.arrays.rare[:, ring - RARE]
        used = histories[: sizes.users]
        of_mine = set(np.unique(used[is_theirs]).tolist()) - {0}
        asked = {(QUERY, state.queries.id(q)): q for q in of_mine}
        theirs = set(np.unique(used[~is_theirs]).tolist()) if of_mine else set()
        mine |= set(asked)
        others |= {word for word, q in asked.items() if q in theirs}
    return mine, others
