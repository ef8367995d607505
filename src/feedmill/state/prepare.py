"""The kernel's arguments: columns of a batch, probes checked, room for the answers.

The kernel is compiled once for each combination of array types, and a read-only array is another type than a
writable one; so every array handed in is made read-only, and every array handed out is fresh.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from feedmill.core.batches import ITEM_LANES, LANE_ROW, LANES, Mask, ProbeBatch, Rows, UserColumns
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.state.arrays import TOPIC_WIDTH, Answers, Changes, Columns, Plan, Probes, Scratch
from feedmill.state.catalogue import Catalogue
from feedmill.state.draft import Draft
from feedmill.state.ids import IdMap
from feedmill.state.probed import CROSS, Facts, Probed
from feedmill.state.tables import Sizes

MAX_QUERY = 256  # characters kept of a query
OF_ITEMS = [LANE_ROW[lane] for lane in ITEM_LANES]


def fixed(array: Any, dtype: DTypeLike) -> NDArray[Any]:
    """A contiguous, aligned, read-only view, or a copy where there is none."""
    view = np.require(array, dtype, ["C", "A"]).view()
    view.flags.writeable = False
    return view


def columns(events: EventBatch, users: IdMap, items: IdMap, queries: IdMap) -> Columns:
    """Events for the kernel; ids and queries that are new get rows."""
    kind, item = fixed(events.numpy("kind"), np.int8), items.rows(events.table.column("item_id"), grow=True)
    searches = np.flatnonzero(kind == Kind.SEARCH)
    if len(searches):
        item[searches] = queries.rows(query_texts(events.table.column("payload").take(searches)), grow=True)
    user = users.rows(events.table.column("user_id"), grow=True)
    if users.forgotten:
        user[np.isin(user, users.forgotten)] = 0
    return Columns(
        time_ms=fixed(events.numpy("time_ms"), np.int64),
        kind=kind,
        user=user,
        item=item,
        value=fixed(events.numpy("value"), np.float32),
    )


def query_texts(payloads: pa.Array) -> pa.Array:
    """Queries as they are told apart: without white space around them, and no longer than MAX_QUERY characters."""
    return pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(payloads), 0, MAX_QUERY))


def changes(events: EventBatch, read: Columns, catalogue: Catalogue) -> Changes:
    """What the ITEM and USER events among them set."""
    if not len(events) or read.kind.max() < Kind.ITEM:
        return NO_CHANGES
    at = np.flatnonzero((read.kind == Kind.ITEM) | (read.kind == Kind.USER))
    payloads = events.table.column("payload").take(at).to_pylist()
    return catalogue.decode(read.kind[at].tolist(), read.item[at].tolist(), read.user[at].tolist(), payloads)


def probes(batch: ProbeBatch | None, n_events: int) -> Probes:
    """Probes for the kernel.

    Raises:
        DataError: lengths differ, ``at`` or ``request_of`` is not ascending or points outside.
    """
    if batch is None:
        return _probes([], [], [], [], [])
    out = _probes(batch.user, batch.time_ms, batch.at, batch.item, batch.request_of)
    if not len(out.user) == len(out.time_ms) == len(out.at) or len(out.item) != len(out.request_of):
        raise DataError("probes whose columns differ in length", "user, time_ms, at [R] and item, request_of [C]")
    for name, array, most in (("at", out.at, n_events), ("request_of", out.request_of, len(out.user) - 1)):
        if len(array) and (array[0] < 0 or array[-1] > most or (np.diff(array) < 0).any()):
            raise DataError(f"probes.{name} is not ascending from 0 to {most}", "requests in the order of the events")
    return out


def one(user: int, time_ms: int) -> Probes:
    """One request without candidates."""
    return _probes([user], [time_ms], [0], [], [])


def candidates(user: UserColumns, items: Rows) -> Probes:
    """The candidates of one request."""
    return _probes(user.row, user.time_ms, [0], items, np.zeros(len(items), np.int32))


def _probes(user: Any, time_ms: Any, at: Any, item: Any, request_of: Any) -> Probes:
    return Probes(
        user=fixed(user, np.int32),
        time_ms=fixed(time_ms, np.int64),
        at=fixed(at, np.int64),
        item=fixed(item, np.int32),
        request_of=fixed(request_of, np.int32),
    )


def lane_mask(lanes: Collection[str]) -> Mask:
    """bool[L].

    Raises:
        DataError: there is no such lane.
    """
    if unknown := set(lanes) - set(LANES):
        raise DataError(f"no lanes {sorted(unknown)}", f"some of {list(LANES)}")
    return np.array([lane in lanes for lane in LANES])


def answers(
    n_requests: int,
    n_candidates: int,
    sizes: Sizes,
    history_len: int,
    n_counts: int,
    *,
    with_pairs: bool,
    with_facts: bool = False,
) -> Answers:
    """Room for R requests and C candidates.

    Args:
        with_pairs: counters of pairs.
        with_facts: what the items were as of the requests, which are not of now.
    """
    n_facts = n_candidates * with_facts
    return Answers(
        history=np.zeros((len(LANES), n_requests, history_len), np.int32),
        history_ms=np.zeros((len(LANES), n_requests, history_len), np.int64),
        counts=np.zeros((n_requests, n_counts), np.float32),
        profile=np.zeros((n_requests, sizes.user_attributes), np.int32),
        first_ms=np.zeros(n_requests, np.int64),
        last_ms=np.zeros(n_requests, np.int64),
        liked_topics=np.zeros((n_requests, TOPIC_WIDTH), np.int32),
        item_counts=np.zeros((n_candidates, n_counts), np.float32),
        author_counts=np.zeros((n_candidates, n_counts), np.float32),
        topic_counts=np.zeros((n_candidates, n_counts), np.float32),
        pair_counts=np.zeros((n_candidates, n_counts * with_pairs), np.float32),
        cross=np.zeros((n_candidates, len(CROSS)), np.float32),
        author=np.zeros(n_facts, np.int32),
        topics=np.zeros((n_facts, TOPIC_WIDTH), np.int32),
        codes=np.zeros((n_facts, sizes.item_attributes), np.int32),
    )


def scratch(sizes: Sizes, history_len: int, plan: Plan) -> Scratch:
    """Room for one request at a time."""
    shape = (len(LANES), history_len)
    return Scratch(
        history=np.zeros(shape, np.int32),
        history_ms=np.zeros(shape, np.int64),
        authors=np.zeros(shape, np.int32),
        length=np.zeros(len(LANES), np.int64),
        tally=np.zeros(sizes.topics, np.int32),
        met=np.zeros(history_len * TOPIC_WIDTH, np.int32),
        marks=np.zeros((sizes.topics, 3 * -(-history_len // 64)), np.uint64),
        since=np.zeros(1),
        decay=np.zeros(len(plan.rate)),
        step=np.zeros(len(plan.rate)),
        sink=np.zeros(2),
    )


def given(user: UserColumns, room: Scratch, n_items: int) -> Scratch:
    """Scratch with the histories of a user (R = 1) as they were handed out.

    Raises:
        DataError: not one user, or one of another state.
    """
    fits = len(user) == 1 and user.history.shape[1:] == room.history.shape
    newest = user.history[:, OF_ITEMS].max(initial=0) if fits else 0
    if not fits or newest >= n_items:
        raise DataError(
            f"histories {user.history.shape} with items up to {newest}",
            f"those of one user of this state: {(1, *room.history.shape)}, items below {n_items}",
        )
    room.history[:], room.history_ms[:] = user.history[0], user.history_ms[0]
    room.length[:] = np.count_nonzero(room.history, axis=1)
    return room


def users_of(probe: Probes, out: Answers) -> UserColumns:
    """The users' side of the answers."""
    history, history_ms = out.history.transpose(1, 0, 2), out.history_ms.transpose(1, 0, 2)
    return UserColumns(
        probe.user,
        probe.time_ms,
        history,
        history_ms,
        out.counts,
        out.profile,
        out.first_ms,
        out.last_ms,
        out.liked_topics,
    )


def probed_of(users: UserColumns, probe: Probes, out: Answers, count_names: tuple[str, ...]) -> Probed:
    """The answers as they are handed out."""
    return Probed(
        users,
        probe.item,
        probe.request_of,
        out.item_counts,
        out.author_counts,
        out.topic_counts,
        out.cross,
        count_names,
        out.pair_counts,
        Facts(out.author, out.topics, out.codes) if len(out.author) == len(probe.item) else None,
    )


NO_CHANGES = Draft().changes()
NO_EVENTS = columns(EventBatch.empty(), IdMap(), IdMap(), IdMap())
ALL_LANES = np.ones(len(LANES), np.bool_)
