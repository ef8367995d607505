"""Forgetting people: their events stay as numbers of nobody, so that everybody else's offsets, rows and codes stay."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from feedmill.core.errors import NotFoundError
from feedmill.core.events import FORGOTTEN
from feedmill.log.sqlite import SqliteLog
from feedmill.state.found import QUERY, VALUE, Found, Replaced, Word
from feedmill.state.scrub import USER, held
from feedmill.state.state import State


class Forgotten(NamedTuple):
    """What was done, and what whoever has copies of these events needs in order to follow.

    Attributes:
        epoch: the one that began.
        n_events: how many events are nobody's now.
        users: person -> (offset of the first event, who that is of now).
        requests: request ids that named somebody -> those that stand there now.
    """

    epoch: int
    n_events: int
    users: Mapping[str, tuple[int, str]]
    requests: Mapping[str, str]


def forget(
    log: SqliteLog,
    state: State,
    user_ids: Collection[str],
    now_ms: int,
    digests: Iterable[tuple[int, str]] = (),
) -> Forgotten:
    """Rewrite every event of some people, in one transaction; appends wait meanwhile, reads do not.

    The first event of each gets an id of chance for its user, which keeps the row; the others are nobody's. Kind, item,
    time, value, position and request stay: items have been shown and clicked as often as they have. Event ids,
    attributes and queries go; a word that others use as well stays where it first appeared.

    Args:
        state: of this log; it is brought to the log's end, and forgets them too.
        digests: (n, digest of the first n user ids) of the artifacts there are, which must still be recognised.

    Raises:
        NotFoundError: the log and the state know none of them.
        LogError: the log cannot be read or written; then nothing has changed.
    """
    with log.rewriting() as rewriter:
        state.catch_up(log)
        found = Found(user_ids)
        found.search(log)
        aliases = {user_id: _token() for user_id in user_ids if user_id in found.first or state.users.row(user_id)}
        if not aliases:
            fix = "look the id up as it stands in the log; `feedmill data forget USER --prove` looks everywhere"
            raise NotFoundError(f"nobody of {len(user_ids)} ids is in the log", "an id that it has", fix)
        tombstones = _tombstones(found, state, list(aliases))
        renames = [(USER, state.users.row(user_id), alias) for user_id, alias in aliases.items()]
        renames += [
            (table, row, text) for (table, word), text in tombstones.items() if (row := _row(state, table, word))
        ]
        after = state.users.renamed({row: text for table, row, text in renames if table == USER})
        known = {d: after.digest(n) for n, d in digests if n <= len(state.users) and state.users.agrees(n, d)}
        replaced = Replaced(found, aliases, tombstones, _token)
        rewriter.replace(found.offsets, replaced)
        rewriter.forget_event_ids(found.event_ids)
        epoch = rewriter.erased(now_ms, renames, known)
    state.keep_up(log)
    users = {user_id: (found.first.get(user_id, -1), alias) for user_id, alias in aliases.items()}
    return Forgotten(epoch, len(found.offsets), users, replaced.requests)


def _tombstones(found: Found, state: State, user_ids: list[str]) -> dict[Word, str]:
    """What stands in place of the words that nobody else has, of whom the log or the state could tell."""
    mine, others = held(state, [row for user_id in user_ids if (row := state.users.row(user_id))])
    return {word: _token() for word in sorted(mine | set(found.words)) if word not in found.shared.keys() | others}


def _row(state: State, table: str, word: str) -> int:
    """The row or code of a word, 0 if it has none."""
    if table == QUERY:
        return state.queries.row(word)
    codes = state.attributes["user"].codes({table.removeprefix(VALUE): word})
    return codes[0][1] if codes else 0


def _token() -> str:
    return FORGOTTEN + secrets.token_hex(8)  # not of a seed: nobody must be able to make it again
