"""Window: not too much of one author or one topic at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Rows
from feedmill.core.config import Config
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank.notes import moved


class WindowConfig(Config, frozen=True, kw_only=True):
    """At most ``at_most`` items of an author (or a topic) in any ``window`` slots in a row."""

    by: Annotated[Literal["author", "topic"], Meta(description="what must not pile up")] = "author"
    at_most: Annotated[int, Meta(ge=1, le=1000, description="items of one author or topic in a window")] = 1
    window: Annotated[int, Meta(ge=1, le=1000, description="slots in a row that are looked at together")] = 4
    topics: Annotated[
        Literal["first", "any"], Meta(description="by topic: an item's first topic counts, or each it has")
    ] = "first"


class Window:
    """Fills slots in the given order, passing over what would be one too many in its window.

    What was passed over takes the first slot it fits. When nothing left fits, the best of the rest takes the
    slot all the same and its note says that the rule was relaxed. Items without author or topic always fit.

    Args:
        config: see WindowConfig.
        state: its catalogue has authors and topics.
        vectors: not needed.
    """

    Config = WindowConfig

    def __init__(self, config: WindowConfig, state: Any, vectors: Any = None) -> None:
        self.config, self._state = config, state
        fill(np.zeros((0, 1), np.int32), 1, 1, 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; notes name the author or topic that was in the way."""
        rows, relaxed, in_the_way = fill(
            self._groups(candidates.item),
            self.config.at_most,
            self.config.window,
            max(0, min(k, len(candidates))),
        )
        notes = map(self._note, range(len(rows)), rows.tolist(), relaxed.tolist(), in_the_way[rows].tolist())
        return Picks(rows, tuple(notes))

    def _groups(self, item: Rows) -> Rows:
        """int32[C, G], padded with 0: what each candidate counts as."""
        catalogue = self._state.catalogue
        if self.config.by == "author":
            return np.ascontiguousarray(catalogue.author[item][:, None])
        width = 1 if self.config.topics == "first" else catalogue.topics.shape[1]
        return np.ascontiguousarray(catalogue.topics[item, :width])

    def _note(self, now: int, was: int, relaxed: bool, group: int) -> str:
        what, n, w = f"{self.config.by} window", self.config.at_most, self.config.window
        if relaxed:
            return f"{what} relaxed: more than {n} of {self._name(group)} in {w} slots, nothing else was left"
        if now > was:
            return f"{what} {moved(now, was)}, {self._name(group)} already had {n} of {w} slots"
        return f"{what} {moved(now, was)}, others were held back" if now < was else ""

    def _name(self, group: int) -> str:
        catalogue = self._state.catalogue
        ids = catalogue.authors if self.config.by == "author" else catalogue.topic_ids
        return f"{self.config.by} {ids.id(group)}"


@njit(cache=True, nogil=True)
def fill(
    groups: Rows, at_most: int, window: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int32]]:
    """Rows int32[k]; whether the rule was relaxed, bool[k]; what was last in a candidate's way, int32[C]."""
    n = len(groups)
    rows, relaxed = np.empty(k, np.int32), np.zeros(k, np.bool_)
    in_the_way, taken = np.zeros(n, np.int32), np.zeros(n, np.bool_)
    for slot in range(k):
        first, chosen = -1, -1
        before = rows[max(0, slot - window + 1) : slot]
        for i in range(n):
            if taken[i]:
                continue
            first = i if first < 0 else first
            group = too_many(groups, before, i, at_most)
            if group == 0:
                chosen = i
                break
            in_the_way[i] = group
        if chosen < 0:
            chosen, relaxed[slot] = first, True
        rows[slot], taken[chosen] = chosen, True
    return rows, relaxed, in_the_way


@njit(cache=True, nogil=True)
def too_many(groups: Rows, before: Rows, i: int, at_most: int) -> int:
    """The first group of candidate i of which ``before`` is full, or 0."""
    for group in groups[i]:
        if group > 0:
            count = 0
            for j in before:
                for other in groups[j]:
                    count += other == group
            if count >= at_most:
                return int(group)
    return 0
