"""Window: not too much, and enough, of one author, topic, channel or of what is new, in any slots in a row."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Rows
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank.notes import moved

DAY_MS = 86_400_000
TOO_MANY, TOO_FEW = 1, 2  # how a slot breaks the rule


class WindowConfig(Config, frozen=True, kw_only=True):
    """At most ``at_most`` and at least ``at_least`` items of a group in any ``window`` slots in a row.

    Raises:
        ConfigError: more at least than at most, more at least than slots, or at least some of no group in particular.
    """

    by: Annotated[
        Literal["author", "topic", "channel", "fresh"],
        Meta(description="what items are grouped by; channel: who brought them; fresh: whether they are new"),
    ] = "author"
    of: Annotated[str, Meta(description="the one author, topic or channel that is meant; none = each of them")] = ""
    at_most: Annotated[int, Meta(ge=1, le=1000, description="items of a group in a window")] = 1
    at_least: Annotated[int, Meta(ge=0, le=1000, description="items of the group in a window; needs of, or fresh")] = 0
    window: Annotated[int, Meta(ge=1, le=1000, description="slots in a row that are looked at together")] = 4
    topics: Annotated[
        Literal["first", "any"], Meta(description="by topic: an item's first topic counts, or each it has")
    ] = "first"
    max_age_days: Annotated[float, Meta(gt=0, description="by fresh: published at most so long ago")] = 7.0

    def __post_init__(self) -> None:
        if self.at_least > min(self.at_most, self.window):
            raise ConfigError(
                f"at_least {self.at_least}, at_most {self.at_most} in a window of {self.window}",
                "at_least no larger than the others",
                f"set at_most = {max(self.at_least, self.window)}" if self.at_least <= self.window else "",
            )
        if self.at_least and not self.of and self.by != "fresh":
            raise ConfigError(f"at_least of any {self.by}", f'of = the {self.by} that is meant, or by = "fresh"')


class Window:
    """Fills slots in the given order, passing over what would be one too many in its window.

    What was passed over takes the first slot it fits. A window that would have too few of the group takes the next of
    it, in the last slot where that is still right. When nothing left fits, the best of the rest takes the slot all the
    same and its note says that the rule was relaxed. Items without author or topic, and without a birthday where age
    counts, are of no group.

    Args:
        config: see WindowConfig.
        state: its catalogue has authors, topics and birthdays.
        vectors: not needed.
    """

    Config = WindowConfig

    def __init__(self, config: WindowConfig, state: Any, vectors: Any = None) -> None:
        self.config, self._state = config, state
        fill(np.zeros((0, 1), np.int32), 0, 1, 1, 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; notes name the author or topic that was in the way, or that was missing."""
        config, groups = self.config, self._groups(candidates, request.time_ms)
        k = max(0, min(k, len(candidates)))
        rows, broken, needed, in_the_way = fill(groups, config.at_least, config.at_most, config.window, k)
        columns = (rows, broken, needed, in_the_way[rows])
        notes = map(self._note, range(len(rows)), *(column.tolist() for column in columns))
        return Picks(rows, tuple(notes))

    def _groups(self, candidates: CandidateBatch, time_ms: int) -> Rows:
        """int32[C, G], padded with 0: what each candidate counts as."""
        catalogue, item, config = self._state.catalogue, candidates.item, self.config
        if config.by == "fresh":
            born = catalogue.publish_ms[item]
            is_fresh = (born > 0) & (time_ms - born <= config.max_age_days * DAY_MS)
            return np.ascontiguousarray(is_fresh.astype(np.int32)[:, None])
        if config.by == "channel":
            groups = np.where(np.isnan(candidates.found), 0, 1 + np.arange(len(candidates.channels))).astype(np.int32)
            meant = 1 + candidates.channels.index(config.of) if config.of in candidates.channels else -1
        elif config.by == "author":
            groups, meant = catalogue.author[item][:, None], catalogue.authors.row(config.of) if config.of else 0
        else:
            width = 1 if config.topics == "first" else catalogue.topics.shape[1]
            groups, meant = catalogue.topics[item, :width], catalogue.topic_ids.row(config.of) if config.of else 0
        return np.ascontiguousarray(np.where(groups == (meant or -1), groups, 0) if config.of else groups)

    def _note(self, now: int, was: int, broken: int, needed: bool, group: int) -> str:
        config = self.config
        what, w = f"{config.by} window", config.window
        if broken == TOO_MANY:
            n = config.at_most
            return f"{what} relaxed: more than {n} of {self._name(group)} in {w} slots, nothing else was left"
        if broken == TOO_FEW:
            return f"{what} relaxed: fewer than {config.at_least} of {self._meant()} in {w} slots, none was left"
        if now > was and group:
            return f"{what} {moved(now, was)}, {self._name(group)} already had {config.at_most} of {w} slots"
        if now == was:
            return ""
        if now < was and needed:
            return f"{what} {moved(now, was)}, {config.at_least} of {self._meant()} belong in {w} slots"
        return f"{what} {moved(now, was)}, {'others were held back' if now < was else 'others were needed'}"

    def _meant(self) -> str:
        return "what is new" if self.config.by == "fresh" else f"{self.config.by} {self.config.of}"

    def _name(self, group: int) -> str:
        catalogue = self._state.catalogue
        if self.config.of or self.config.by == "fresh":
            return self._meant()
        if self.config.by == "channel":
            return "one channel"
        ids = catalogue.authors if self.config.by == "author" else catalogue.topic_ids
        return f"{self.config.by} {ids.id(group)}"


@njit(cache=True, nogil=True)
def fill(
    groups: Rows, at_least: int, at_most: int, window: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.bool_], NDArray[np.int32]]:
    """Rows int32[k]; how the rule was broken, int8[k]; whether the group was needed, bool[k]; what was last in a
    candidate's way, int32[C]."""
    n = len(groups)
    rows, broken, needed = np.empty(k, np.int32), np.zeros(k, np.int8), np.zeros(k, np.bool_)
    in_the_way, taken = np.zeros(n, np.int32), np.zeros(n, np.bool_)
    for slot in range(k):
        before = rows[max(0, slot - window + 1) : slot]
        needed[slot] = at_least > 0 and members(groups, before) + max(0, window - 1 - slot) < at_least
        first, first_member, chosen = -1, -1, -1
        for i in range(n):
            if taken[i]:
                continue
            first = i if first < 0 else first
            if needed[slot] and not groups[i].any():
                continue
            first_member = i if first_member < 0 else first_member
            group = too_many(groups, before, i, at_most)
            if group == 0:
                chosen = i
                break
            in_the_way[i] = group
        if chosen < 0:
            broken[slot] = TOO_MANY if first_member >= 0 else TOO_FEW
            chosen = first_member if first_member >= 0 else first
        rows[slot], taken[chosen] = chosen, True
    return rows, broken, needed, in_the_way


@njit(cache=True, nogil=True)
def members(groups: Rows, before: Rows) -> int:
    """How many of some candidates are of any group."""
    n = 0
    for j in before:
        n += groups[j].any()
    return n


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
