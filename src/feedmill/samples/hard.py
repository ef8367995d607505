"""Hard negatives: items that retrieval brought a user and a later stage dropped, read from the feed's own traces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.clock import rng
from feedmill.core.request import Trace
from feedmill.log.traces import BELOW_CUT, BELOW_SLATE, RERANK
from feedmill.state.ids import IdMap


class HardNegatives(Mapping[int, Rows]):
    """User row -> int32 item rows, in random order; users without any are not in it.

    Args:
        user: int32[n] rows.
        item: int32[n] rows, a pair at most once.
        seed: of the order.
    """

    def __init__(self, user: Rows, item: Rows, seed: int = 0) -> None:
        order = np.lexsort((rng(seed, "hard negatives").random(len(user)), user))
        self._item = np.asarray(item[order], np.int32)
        self._users, self._first, self._count = np.unique(user[order], return_index=True, return_counts=True)

    @staticmethod
    def of(
        traces: Iterable[Trace],
        users: IdMap,
        items: IdMap,
        *,
        max_per_user: int = 200,
        until_ms: Mapping[str, int] | None = None,
        seed: int = 0,
    ) -> HardNegatives:
        """What pre-rank put below the cut and rank below the slate, each user's newest first.

        Re-rank rules leave out what rank put low, and what it put high but resembles something higher: of what they
        left, which stands in order of value, the back half counts. An item that the same user was shown in any of the
        traces is left out: it was good enough once. Known likes stay in, whoever draws masks them as with any negative.

        Args:
            traces: oldest first, as ``log.traces.read_traces`` gives them; ids unknown to the state are left out.
            until_ms: user id -> time; later requests are left out, and those of users it does not have. Where an
                evaluation holds out the end of each user's log, a trace from after it knows what is to be predicted.
        """
        newest: dict[tuple[str, str], None] = {}
        shown: set[tuple[str, str]] = set()
        for trace in traces:
            if until_ms is not None and trace.time_ms > until_ms.get(trace.user_id, -1):
                continue
            shown.update((trace.user_id, item.item_id) for item in trace.items)
            for item_id in _dropped(trace):
                newest.pop((trace.user_id, item_id), None)
                newest[trace.user_id, item_id] = None
        pairs = [pair for pair in reversed(newest) if pair not in shown]
        user, item = users.rows([u for u, _ in pairs]), items.rows([i for _, i in pairs])
        keep = np.flatnonzero((user > 0) & (item > 0))
        keep = keep[_place(user[keep]) < max_per_user]
        return HardNegatives(user[keep], item[keep], seed)

    def __getitem__(self, user: int) -> Rows:
        at = int(np.searchsorted(self._users, user))
        if at == len(self._users) or self._users[at] != user:
            raise KeyError(user)
        return self._item[self._first[at] : self._first[at] + self._count[at]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._users.tolist())

    def __len__(self) -> int:
        return len(self._users)

    def draw(self, user: Rows, n: int, random: np.random.Generator) -> tuple[NDArray[np.int64], Rows]:
        """``n`` different ones of each of B users, or all where there are fewer.

        Returns:
            int64[m] ascending, the place in ``user`` of each, and int32[m] item rows.
        """
        if not len(self):
            return np.zeros(0, np.int64), np.zeros(0, np.int32)
        at = np.minimum(np.searchsorted(self._users, user), len(self._users) - 1)
        count = np.where(self._users[at] == user, self._count[at], 0)
        # The lists are in random order, so a stretch of one from anywhere, round its end, is a random part of it.
        start = (random.random(len(user)) * count).astype(np.int64)
        few = np.minimum(count, n)
        of = np.repeat(np.arange(len(user)), few)
        place = np.arange(len(of)) - np.repeat(np.cumsum(few) - few, few) + start[of]
        return of, self._item[self._first[at][of] + place % count[of]]


def _dropped(trace: Trace) -> Iterator[str]:
    for reason, item_ids in trace.fates.items():
        if reason in (BELOW_CUT, BELOW_SLATE):
            yield from item_ids
        elif reason.startswith(RERANK):
            yield from item_ids[(len(item_ids) + 1) // 2 :]


def _place(key: Rows) -> NDArray[np.int64]:
    """int64[n]: how many equal entries stand before each."""
    order = np.argsort(key, kind="stable")
    ascending = key[order]
    out = np.empty(len(key), np.int64)
    out[order] = np.arange(len(key)) - np.searchsorted(ascending, ascending, "left")
    return out
