"""GET /v1/similar/{item}: items like an item, from the lists of neighbours, or from vectors, of the channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from feedmill.core.batches import CandidateBatch, Part
from feedmill.core.errors import NotFoundError
from feedmill.core.protocols import Channel, Filter
from feedmill.core.request import FeedRequest
from feedmill.serve.explain import Names
from feedmill.state import State

Lookup = Callable[[int, int], CandidateBatch]  # item row, limit -> available items like it, best first
_MORE = 100  # items asked for beside those wanted, which filters may take
LISTS = ("neighbours", "sims")  # arrays of a part that is item -> its most similar items


class SimilarItem(msgspec.Struct, frozen=True):
    """One item that is like the one asked for, with the channel's score of how much."""

    item_id: str
    title: str
    score: float


class SimilarResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: items best first, and the channel they are from, "" where none knows items like this one."""

    item_id: str
    title: str
    channel: str
    items: list[SimilarItem]
    version: str = ""


class NeighbourLists:
    """Items like an item, as item-to-item channels store them.

    Args:
        name: the channel's.
        part: arrays ``neighbours`` int32[N, K], best first, padded with 0, and ``sims`` float32[N, K].
        state: tells which items are available.
    """

    def __init__(self, name: str, part: Part, state: State) -> None:
        self._name, self._state = name, state
        self._neighbours, self._sims = (part.arrays[key] for key in LISTS)

    def __call__(self, item: int, limit: int) -> CandidateBatch:
        """None for an item newer than the lists."""
        if item >= len(self._neighbours):
            return CandidateBatch.of(self._name, [], [])
        rows, available = np.asarray(self._neighbours[item]), self._state.catalogue.available
        keep = np.flatnonzero((rows > 0) & (rows < len(available)))
        keep = keep[available[rows[keep]]][:limit]
        return CandidateBatch.of(self._name, rows[keep], np.asarray(self._sims[item])[keep])


def lookups(channels: Sequence[Channel], parts: Mapping[str, Part], state: State) -> tuple[Lookup, ...]:
    """What can tell which items are alike, in the order in which it is asked: lists of neighbours say what people
    choose together, so they go before vectors; then as the config has them."""
    lists: list[Lookup] = []
    vectors: list[Lookup] = []
    for channel in channels:
        if set(LISTS) <= set(parts[channel.name].arrays):
            lists.append(NeighbourLists(channel.name, parts[channel.name], state))
        elif hasattr(channel, "similar"):
            vectors.append(channel.similar)
    return (*lists, *vectors)


def shown_to_anybody(look: Lookup, filters: Sequence[Filter], state: State) -> Lookup:
    """The same without what a filter that knows no exceptions keeps from a user of whom nothing is known: the answer
    does not depend on who asks."""
    hard = [f for f in filters if not getattr(f, "soft", False)]
    nobody = FeedRequest(request_id="", user_id="")

    def allowed(item: int, limit: int) -> CandidateBatch:
        found, user = look(item, limit + _MORE), state.view("", state.newest_ms)
        for f in hard:
            found = found.take(f.keep(nobody, user, found))
        return found.take(np.arange(min(limit, len(found))))

    return allowed


def similar(state: State, names: Names, asked: Sequence[Lookup], item_id: str, n: int) -> SimilarResponse:
    """At most n available items, from the first channel that has any.

    Raises:
        NotFoundError: the log has no such item.
    """
    row = state.items.row(item_id)
    if row == 0:
        raise NotFoundError(
            f"no item {item_id[:80]!r}", "the id of an item that the log has seen",
            "append an event of kind item that describes it",
        )  # fmt: skip
    channel, items = "", CandidateBatch.of("", [], [])
    for lookup in asked:
        found = lookup(row, n)
        if len(found):
            (channel,), items = found.channels, found
            break
    scores = [float(f"{s:.6g}") for s in items.found[:, 0].tolist()]
    alike = zip(names.ids(items.item), names.titles(items.item), scores, strict=True)
    title = names.titles(np.array([row], np.int32))[0]
    return SimilarResponse(item_id=item_id, title=title, channel=channel, items=[SimilarItem(*a) for a in alike])
