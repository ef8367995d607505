"""Rules one after the other, each choosing from what the one before it let through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedmill.core.batches import CandidateBatch
from feedmill.core.protocols import Picks, RerankRule
from feedmill.core.request import FeedRequest


def apply_rules(
    rules: Sequence[RerankRule], request: FeedRequest, candidates: CandidateBatch, k: int, pool: int = 3
) -> Picks:
    """A slate of min(k, C) candidates.

    Args:
        rules: in order; the last has the last word.
        candidates: in order of value, best first.
        k: slots.
        pool: all rules but the last pick ``pool`` times k, so that those after them have a choice.

    Returns:
        Rows of ``candidates``, and for each why it stands there: "in order of value", or what each rule did
        to it ("MMR moved it up from 7 to 3, for variety; author window moved it down from 3 to 4, ...").
    """
    k = max(0, min(k, len(candidates)))
    rows, said = np.arange(len(candidates), dtype=np.int32), [""] * len(candidates)
    for n, rule in enumerate(rules, 1):
        wanted = k if n == len(rules) else min(len(rows), pool * k)
        picks = rule.apply(request, candidates.take(rows), wanted)
        before = [said[r] for r in picks.rows]
        said = [f"{b}; {note}" if b and note else b or note for b, note in zip(before, picks.notes, strict=True)]
        rows = rows[picks.rows]
    places = enumerate(rows[:k].tolist())
    return Picks(rows[:k], tuple(said[now] or unsaid(now, was) for now, was in places))


def unsaid(now: int, was: int) -> str:
    """The note where no rule left one; places count from 0."""
    return "in order of value" if now == was else f"{was + 1} by value, a rule {moved(now, was)}"


def moved(now: int, was: int) -> str:
    """How a rule says where it put what it was given; places count from 0."""
    return f"moved it {'up' if now < was else 'down'} from {was + 1} to {now + 1}"
