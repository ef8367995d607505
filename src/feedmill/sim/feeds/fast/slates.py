"""Slates from candidates: slot by slot, by what is worth most after the slots before, in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.sim.feeds.fast.descriptions import N_TOPICS, NONE, NOTHING
from feedmill.sim.feeds.fast.effects import Labels
from feedmill.sim.feeds.fast.ranking import SEEN, People, Shelf
from feedmill.sim.feeds.fast.recents import KEEP, LENGTH, Recents, repetition, weights


class Rules(NamedTuple):
    """How a slate is filled."""

    cost: Floats  # float32[2] of a repeated topic, author
    author_window: int
    topic_window: int
    topic_at_most: int
    skip_seen: bool


@njit(cache=True, nogil=True)
def fits(k: int, item: int, slate: Rows, rules: Rules, labels: Labels, author: Rows) -> bool:
    """Whether an item may stand in slot k after those before it."""
    if author[item] != NONE:
        for other in range(max(0, k - rules.author_window + 1), k):
            if author[slate[other]] == author[item]:
                return False
    if rules.topic_window > 0:
        for a in range(N_TOPICS):
            topic, n = labels.of[item, a], 0
            if topic == NOTHING:
                continue
            for other in range(max(0, k - rules.topic_window + 1), k):
                for c in range(N_TOPICS):
                    n += labels.of[slate[other], c] == topic
            if n >= rules.topic_at_most:
                return False
    return True


@njit(cache=True, nogil=True)
def best_fit(k: int, slate: Rows, places: Rows, scores: Floats, same: Floats, base: Floats, is_in: NDArray[np.bool_],
             shelf: Shelf, labels: Labels, author: Rows, rules: Rules) -> int:  # fmt: skip
    """The candidate for slot k: of most expected seconds among those that may stand there, else of all; -1 = none."""
    top, most, is_allowed = -1, np.float32(0), False
    low, high, p = np.float32(shelf.low), np.float32(shelf.high), shelf.parabolas
    for c in range(len(places)):
        if is_in[c]:
            continue
        place = places[c]
        s = min(max(scores[c] + rules.cost[0] * same[c, 0] + rules.cost[1] * same[c, 1], low), high)
        value = shelf.level[place] * (p[0, place] + s * (p[1, place] + s * p[2, place])) - base[c]
        if is_allowed and value <= most:
            continue
        allowed = fits(k, shelf.row[place], slate, rules, labels, author)
        if top < 0 or (allowed and not is_allowed) or (allowed == is_allowed and value > most):
            top, most, is_allowed = c, value, allowed
    return top


@njit(cache=True, nogil=True)
def fill_slates(
    first: int, last: int, user: Rows, time_ms: Times, places: Rows, scores: Floats, shelf: Shelf, people: People,
    recents: Recents, labels: Labels, author: Rows, rules: Rules, explored: Rows, slates: Rows,
) -> None:  # fmt: skip
    """Slot by slot the candidate of most expected seconds after those before it, which is allowed; the best of all if
    none is. Slots that ``explored`` int32[B, K] fills already stay so."""
    n = places.shape[1]
    topics, authors = np.empty(people.tastes.shape[1], np.float32), np.empty((LENGTH, 2), np.float32)
    same, is_in, base = np.empty((n, 2), np.float32), np.empty(n, np.bool_), np.empty(n, np.float32)
    for b in range(first, last):
        weights(recents, user[b], time_ms[b], labels, author, topics, authors)
        for c in range(n):
            item = shelf.row[places[b, c]]
            same[c] = repetition(topics, authors, item, labels, author)
            was_seen = rules.skip_seen and people.seen[user[b], item >> 3] >> (item & 7) & 1
            base[c], is_in[c] = SEEN if was_seen else np.float32(0), False
            for k in range(slates.shape[1]):
                is_in[c] |= explored[b, k] == item
        filled = 0
        for k in range(slates.shape[1]):
            item = explored[b, k]
            if item < 0:
                c = best_fit(filled, slates[b], places[b], scores[b], same, base, is_in, shelf, labels, author, rules)
                if c < 0:
                    continue
                is_in[c] = True
                item = shelf.row[places[b, c]]
            slates[b, filled] = item
            filled += 1
            note_pick(item, places[b], shelf, labels, author, same)


@njit(cache=True, nogil=True)
def note_pick(item: int, places: Rows, shelf: Shelf, labels: Labels, author: Rows, same: Floats) -> None:
    """What each candidate would repeat after ``item``."""
    for c in range(len(places)):
        other = shelf.row[places[c]]
        overlap = np.float32(0)
        for a in range(N_TOPICS):
            for d in range(N_TOPICS):
                if labels.of[item, a] != NOTHING and labels.of[item, a] == labels.of[other, d]:
                    overlap += labels.topic_weight[item] * labels.topic_weight[other]
        same[c, 0] = np.float32(KEEP) * same[c, 0] + np.float32(1 - KEEP) * overlap
        same[c, 1] += author[item] != NONE and author[item] == author[other]
