"""Slots: where advertisements, or what the house itself wants shown, may stand in a feed, and how often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta

from feedmill.core.batches import LANE_ROW, CandidateBatch, Floats, Mask, Rows
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank.fusion import worth
from feedmill.rerank.notes import moved

HOUR_S, HOUR_MS, DAY_MS = 3600.0, 3_600_000, 86_400_000
MOST_GAP = 100  # slots of earlier pages whose order a cursor keeps


class SlotsConfig(Config, frozen=True, kw_only=True):
    """Which items are meant, and where, how densely and how often they may come.

    Raises:
        ConfigError: neither fixed positions nor anything that keeps the items from filling the feed.
    """

    attribute: Annotated[str, Meta(min_length=1, description="attribute of items that says what is placed")] = "slot"
    value: Annotated[str, Meta(min_length=1, description="its text for the items that are meant")] = "ad"
    at: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(description="fixed slots, from 1, counted over all pages of a feed; none = wherever the limits allow it"),
    ] = ()
    first: Annotated[int, Meta(ge=1, description="first slot allowed")] = 1
    gap: Annotated[
        int, Meta(ge=1, le=MOST_GAP, description="at least so many slots from one to the next, also across pages")
    ] = 1
    most: Annotated[int, Meta(ge=0, description="items of the group on a page; 0 = as many as the rest allows")] = 0
    load: Annotated[float, Meta(gt=0, le=1, description="largest share of the slots of a feed so far")] = 1.0
    per_hour: Annotated[
        float, Meta(ge=0, description="impressions an hour of one item from which on it rests; 0 = no pacing")
    ] = 0.0
    per_user_day: Annotated[
        int, Meta(ge=0, description="times a user is shown any of the group in 24 hours; 0 = any number")
    ] = 0
    order: Annotated[
        str, Meta(description='numeric attribute, such as "bid", by which the highest goes first; "" = by value')
    ] = ""

    def __post_init__(self) -> None:
        if not self.at and self.gap == 1 and not self.most and self.load == 1:
            raise ConfigError(
                "slots with neither at nor gap, most or load",
                "fixed slots, or a limit: else the group would fill the feed",
                "such as gap = 6, or at = [4, 10]",
            )


class Slots:
    """Takes the members of a group out of the order and puts them where the config says; all others close up.

    Members are the items whose ``attribute`` has the text ``value`` at the moment: an ITEM event sets and clears it.
    What is not placed does not come at all. Items with another text of the same attribute keep the slot they were
    given, so that a rule for each group may follow the other; where two want one fixed slot, the later rule has it.

    What yields to what: ``first``, ``gap``, ``most``, ``load``, ``per_hour`` and ``per_user_day`` always hold. A fixed
    slot for which they leave nothing yields: the next item takes it, and its note says why. The length of the feed
    yields last: with too few others it ends early rather than break a limit.

    Slots are counted over the feed: a page starts after ``request.exclude``, which has the earlier pages in order.
    ``per_hour`` reads the fastest decayed counter of impressions that the state keeps (rate = count / time constant:
    docs/decisions/0004; add "impression.1h" to ``state.counts`` for one that turns quickly). ``per_user_day`` counts
    in the user's history of impressions; where that holds fewer than 24 hours the note of what is placed says so.

    Args:
        config: see SlotsConfig.
        state: its catalogue tells what items are, its counters how often they were shown.
        vectors: not needed.

    Raises:
        ConfigError: the state keeps no counter to pace by, or histories shorter than ``per_user_day``.
    """

    Config = SlotsConfig

    def __init__(self, config: SlotsConfig, state: Any, vectors: Any = None) -> None:
        self.config, self._state, self._at = config, state, frozenset(config.at)
        self._paced_by = _fastest(state.config) if config.per_hour else ("", 1.0)
        if config.per_user_day > state.config.history_len:
            raise ConfigError(
                f"per_user_day = {config.per_user_day} with state.history_len = {state.config.history_len}",
                "histories that hold as many impressions",
                f"set state.history_len = {4 * config.per_user_day} or more",
            )

    def members(self, candidates: CandidateBatch) -> Mask:
        """bool[C]: which of the candidates the rule places, or else lets fall."""
        return self._is_member(candidates.item)

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """At most k rows, fewer only where nothing but members is left.

        ``cost`` is the organic value given up: of the best ``request.n`` that are no members, less of those that come.
        """
        k, is_member = max(0, min(k, len(candidates))), self.members(candidates)
        is_placed = ~is_member & (self._codes(candidates.item) > 0)
        page = self._page(request, candidates, is_member)
        others = _Others(np.flatnonzero(~is_member & ~is_placed), np.flatnonzero(is_placed))
        rows: list[int] = []
        notes: list[str] = []
        for at in range(k):
            why_not = self._why_not(page, page.start + at + 1)
            is_wanted = page.start + at + 1 in self._at if self._at else not others.keeps(at)
            if is_wanted and not why_not:
                row = page.place(at)
            elif others:
                row = others.take(at)
            else:
                break
            rows.append(row)
            notes.append(self._note(at, row, bool(is_member[row]), page, why_not if is_wanted else ""))
        return Picks(np.array(rows, np.int32), tuple(notes), _cost(candidates.value, rows, is_member, request.n))

    def _page(self, request: FeedRequest, candidates: CandidateBatch, is_member: Mask) -> _Page:
        """What is known before the first slot is filled."""
        before = self._state.items.rows(request.exclude)
        earlier = np.flatnonzero(self._is_member(before))
        today = self._today(request, before[earlier]) if self.config.per_user_day else _Today(0, 24.0)
        waiting = np.flatnonzero(is_member)
        rests = self._rests(candidates.item[waiting], request.time_ms)
        n_resting, waiting = int(np.count_nonzero(rests)), waiting[~rests]
        if self.config.order:
            waiting = waiting[np.argsort(-self._number(candidates.item[waiting]), kind="stable")]
        last = int(earlier[-1]) + 1 if len(earlier) else None
        return _Page(deque(waiting.tolist()), n_resting, len(before), len(earlier), last, today)

    def _why_not(self, page: _Page, slot: int) -> str:
        """What forbids a member in a slot, "" if nothing does."""
        c = self.config
        if slot < c.first:
            return f"the first slot allowed is {c.first}"
        if page.last is not None and slot - page.last < c.gap:
            return f"the one before is in slot {page.last}, and the gap is {c.gap}"
        if c.most and page.n_here >= c.most:
            return f"the page has its {c.most}"
        if page.n_placed + 1 > c.load * slot + 1e-9:
            return f"it would be {page.n_placed + 1} of {slot} slots, and the load is {c.load:g}"
        if c.per_user_day and page.today.n >= c.per_user_day:
            return f"the user has seen {page.today.n} in 24 hours"
        if not page.waiting:
            rest = f", {page.n_resting} rest: shown {c.per_hour:g} times an hour or more"
            return f"none is left{rest if page.n_resting else ''}"
        return ""

    def _note(self, now: int, was: int, is_member: bool, page: _Page, why_not: str) -> str:
        name, slot = self.config.value, page.start + now + 1
        if is_member:
            short = page.today.hours < 24
            seen = f", a day's counted over the last {page.today.hours:.2g} hours of the history" if short else ""
            return f"{name} slot {slot}{'' if now == was else f', {moved(now, was)}'}{seen}"
        words = [f"{name} slot {slot} relaxed: {why_not}"] if why_not and self._at else []
        return "; ".join(words if now == was else [*words, f"{name} slots {moved(now, was)}"])

    def _codes(self, item: Rows) -> Rows:
        """int32[n] what items have of the attribute, 0 = nothing."""
        catalogue, name = self._state.catalogue, self.config.attribute
        if name not in catalogue.item_attributes:
            return np.zeros(len(item), np.int32)
        codes: Rows = catalogue.item_codes(name)[item]
        return codes

    def _is_member(self, item: Rows) -> Mask:
        code = self._state.catalogue.item_code(self.config.attribute, self.config.value)
        mask: Mask = (self._codes(item) == code) & (code > 0)
        return mask

    def _number(self, item: Rows) -> Floats:
        """float32[n] of the attribute that orders, 0 where it is no number."""
        catalogue, name = self._state.catalogue, self.config.order
        if name not in catalogue.item_attributes:
            return np.zeros(len(item), np.float32)
        found: Floats = catalogue.numbers(name)[catalogue.item_codes(name)[item]]
        return np.where(np.isnan(found), np.float32(0), found)

    def _rests(self, item: Rows, time_ms: int) -> Mask:
        """bool[n]: shown often enough for now."""
        if not self.config.per_hour or not len(item):
            return np.zeros(len(item), np.bool_)
        name, window_s = self._paced_by
        rests: Mask = self._state.decayed(name, item, time_ms) / window_s * HOUR_S >= self.config.per_hour
        return rests

    def _today(self, request: FeedRequest, earlier: Rows) -> _Today:
        """Members the user was shown in 24 hours, those of earlier pages that the log does not have yet included."""
        user, lane = self._state.view(request.user_id, request.time_ms), LANE_ROW["shown"]
        item, at_ms = user.history[0, lane], user.history_ms[0, lane]
        known = item > 0
        recent = item[known & (at_ms > request.time_ms - DAY_MS)]
        n = int(np.count_nonzero(self._is_member(recent))) + int(np.count_nonzero(~np.isin(earlier, recent)))
        reach = float(request.time_ms - at_ms.min()) / HOUR_MS if known.all() else 24.0
        return _Today(n, min(reach, 24.0))


class _Today(NamedTuple):
    """How many of the group a user was shown, and over how many hours up to 24 that could be counted."""

    n: int
    hours: float


@dataclass
class _Page:
    """A page that is being filled: who waits, and what of the group the feed has so far."""

    waiting: deque[int]  # rows of members, the next one first
    n_resting: int
    start: int  # slots of the pages before
    n_placed: int  # in the feed
    last: int | None  # slot of the last of them
    today: _Today
    n_here: int = 0

    def place(self, at: int) -> int:
        self.n_placed, self.n_here, self.last = self.n_placed + 1, self.n_here + 1, self.start + at + 1
        self.today = self.today._replace(n=self.today.n + 1)
        return self.waiting.popleft()


class _Others:
    """Those that are no members: in their order, except that ``placed`` rows keep their places."""

    def __init__(self, free: Any, placed: Any) -> None:
        self._free: deque[int] = deque(free.tolist())
        self._placed: deque[int] = deque(placed.tolist())

    def __bool__(self) -> bool:
        return bool(self._free or self._placed)

    def keeps(self, at: int) -> bool:
        """Whether somebody has this place, or had one before and lost it to a fixed slot."""
        return bool(self._placed) and self._placed[0] <= at

    def take(self, at: int) -> int:
        return self._placed.popleft() if self.keeps(at) or not self._free else self._free.popleft()


def _cost(value: Floats, rows: list[int], is_member: Mask, n: int) -> float:
    """Value of the first n that are no members, less of those among the first n that come."""
    worths = np.where(is_member, 0.0, worth(value))
    return float(worths[~is_member][:n].sum() - worths[rows[:n]].sum())


def _fastest(config: Any) -> tuple[str, float]:
    """The counter of impressions of the shortest window, and that window in seconds."""
    windows = [(s, f"impression.{w}") for w, s in config.windows.items() if f"impression.{w}" in config.count_names]
    if not windows:
        raise ConfigError(
            "per_hour, and the state keeps no decayed counter of impressions",
            f"one of {[f'impression.{w}' for w in config.windows]}",
            'add "impression.1h" to state.counts',
        )
    seconds, name = min(windows)
    return name, seconds
