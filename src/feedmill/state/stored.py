"""What of a state is stored, and how a state is made of it again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import EventLog
from feedmill.state.found import is_replaced
from feedmill.state.ids import IdMap
from feedmill.state.snapshot import REPLAY, Snapshot
from feedmill.state.tables import Sizes, layout

if TYPE_CHECKING:
    from feedmill.state.state import State


def sizes(state: State) -> Sizes:
    """Rows that there are ids for."""
    return Sizes(
        users=len(state.users),
        items=len(state.items),
        authors=len(state.catalogue.authors),
        topics=len(state.catalogue.topic_ids),
        item_attributes=len(state.attributes["item"]),
        user_attributes=len(state.attributes["user"]),
    )


def content(state: State) -> Snapshot:
    """Copies of everything; the caller holds the lock."""
    state.tables.reserve(sizes(state))
    catalogue = state.catalogue
    texts = {
        "users": state.users.ids()[1:],
        "items": state.items.ids()[1:],
        "queries": state.queries.ids()[1:],
        "authors": catalogue.authors.ids()[1:],
        "topic_ids": catalogue.topic_ids.ids()[1:],
        "titles": catalogue.titles.copy(),
    }
    for of, known in state.attributes.items():
        texts |= {f"{of}_attribute_{i}": [name, *known.values(name)[1:]] for i, name in enumerate(known.names)}
    about = {
        "config": msgspec.to_builtins(state.config),
        "offset": state.offset,
        "epoch": state.epoch,
        "retold": state.users.retold,
        "newest_ms": state.newest_ms,
        "n_malformed": catalogue.n_malformed,
        "last_event": fingerprint(state.last_event),
        "sizes": state.tables.sizes._asdict(),
        "layout": layout(),
    }
    return Snapshot(state.tables.live(), texts, about)


def fill(state: State, found: Snapshot) -> None:
    """Put everything into a state that is still empty.

    Raises:
        ArtifactError: something is missing, or does not fit the rest.
    """
    about, texts = found.about, found.texts
    if about.get("layout") != layout():
        raise ArtifactError(f"a snapshot of arrays {about.get('layout')}", f"{layout()}, as this version keeps", REPLAY)
    try:
        state.tables.restore(Sizes(**about["sizes"]), found.arrays)
        state.users, state.items = IdMap(texts["users"]), IdMap(texts["items"])
        state.queries = IdMap(texts["queries"], most=state.config.max_queries)
        state.catalogue.authors, state.catalogue.topic_ids = (IdMap(texts["authors"]), IdMap(texts["topic_ids"]))
        state.catalogue.titles, state.catalogue.n_malformed = texts["titles"], about["n_malformed"]
        for of, known in state.attributes.items():
            for i in range(about["sizes"][f"{of}_attributes"]):
                name, *values = texts[f"{of}_attribute_{i}"]
                known.restore(name, values)
        state.offset, state.newest_ms, state.last_event = (about["offset"], about["newest_ms"], about["last_event"])
        state.epoch, state.users.retold = about.get("epoch", 0), about.get("retold", {})
    except (KeyError, IndexError, TypeError, ValueError) as e:
        raise ArtifactError(f"the snapshot lacks {e}", "everything that a state is made of", REPLAY) from None
    if sizes(state) != state.tables.sizes._replace(blocks=1):
        raise ArtifactError(f"the snapshot has arrays for {state.tables.sizes}", f"{sizes(state)}", REPLAY)


def check_is_of(state: State, log: EventLog) -> None:
    """Whether the state's newest event stands in the log where it should.

    Raises:
        ArtifactError: it does not: the state was folded from another log.
    """
    wanted = f"one of this log, which has {log.end} events"
    if state.offset > log.end or state.epoch > log.epoch:
        raise ArtifactError(f"a snapshot of {state.offset} events in epoch {state.epoch}", wanted, REPLAY)
    if state.offset < log.start:
        raise ArtifactError(f"a snapshot of {state.offset} events", f"one from event {log.start} on", REPLAY)
    if state.offset > log.start:
        event = log.read(state.offset - 1, 1)[0]
        is_rewritten = state.epoch < log.epoch and is_replaced(event)
        if not is_rewritten and fingerprint(event) != fingerprint(state.last_event):
            raise ArtifactError(f"a snapshot whose event {state.offset} is not the log's", wanted, REPLAY)


def fingerprint(event: EventBatch | str) -> str:
    """SHA-256 of one event, or what was taken before."""
    if isinstance(event, str):
        return event
    return hashlib.sha256(msgspec.json.encode(event.table.to_pylist())).hexdigest()
