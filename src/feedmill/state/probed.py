"""What the fold answers: users and candidates as of each request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, UserColumns

CROSS = (
    "shown_item",  # times the item stands in the user's shown history
    "shown_author",  # the same of its author
    "clicked_author",  # items of its author in the clicked history
    "author_last_s",  # seconds since the newest of those, NaN = none
    "item_last_s",  # seconds since the item was clicked or shown, NaN = in neither history
    "clicked_topics",  # share of the clicked history that has a topic in common with the item, 0 if it is empty
    "liked_topics",
    "disliked_topics",
    "age_s",  # seconds since publication, at least 0, NaN = unknown
    "duration_s",  # NaN = unknown
)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What the catalogue said of C candidates as of their requests.

    Attributes:
        author: int32[C] rows, 0 = unknown.
        topics: int32[C, TOPIC_WIDTH] rows, padded with 0.
        codes: int32[C, P] of the items' attributes, a column each in the order of ``Catalogue.item_attributes``;
            attributes that nothing had yet have no column.
    """

    author: Rows
    topics: Rows
    codes: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """R requests and their C candidates, each as of its request.

    Attributes:
        users: R rows.
        item: int32[C] candidate rows, grouped by request.
        request_of: int32[C] ascending.
        item_counts: float32[C, n_selected] exponentially decayed counters of the item, named ``count_names``.
        author_counts: the same of its author, 0 if unknown.
        topic_counts: the mean over its topics, 0 if it has none.
        cross: float32[C, len(CROSS)] user and item together.
        count_names: such as ("impression.1d", "click.all").
        pair_counts: counters of the user with the topics of the item, the mean over them; float32[C, 0] where the
            state counts no pairs.
        facts: what the items were then; None: the moment is now, and the catalogue says it.
    """

    users: UserColumns
    item: Rows
    request_of: Rows
    item_counts: Floats
    author_counts: Floats
    topic_counts: Floats
    cross: Floats
    count_names: tuple[str, ...]
    pair_counts: Floats
    facts: Facts | None = None

    def __len__(self) -> int:
        return len(self.item)

    @staticmethod
    def of_users(users: UserColumns, count_names: tuple[str, ...]) -> Probed:
        """R requests without a candidate: all there is to know is in the users."""
        none, rows = np.zeros((0, len(count_names)), np.float32), np.zeros(0, np.int32)
        return Probed(
            users, rows, rows, none, none, none, np.zeros((0, len(CROSS)), np.float32), count_names, none[:, :0]
        )

    @staticmethod
    def concat(parts: Sequence[Probed]) -> Probed:
        """One after the other; users' attributes that earlier parts did not know yet are unknown there.

        Raises:
            ValueError: there are none.
        """
        if not parts:
            raise ValueError("Probed.concat needs at least one part")
        first = np.cumsum([0, *(len(p.users) for p in parts[:-1])])
        width = max(p.users.profile.shape[1] for p in parts)
        users = [p.users for p in parts]
        return Probed(
            UserColumns(
                row=np.concatenate([u.row for u in users]),
                time_ms=np.concatenate([u.time_ms for u in users]),
                history=np.concatenate([u.history for u in users]),
                history_ms=np.concatenate([u.history_ms for u in users]),
                counts=np.concatenate([u.counts for u in users]),
                profile=np.concatenate([_widen(u.profile, width) for u in users]),
                first_ms=np.concatenate([u.first_ms for u in users]),
                last_ms=np.concatenate([u.last_ms for u in users]),
                liked_topics=np.concatenate([u.liked_topics for u in users]),
            ),
            item=np.concatenate([p.item for p in parts]),
            request_of=np.concatenate([p.request_of + n for p, n in zip(parts, first, strict=True)]).astype(np.int32),
            item_counts=np.concatenate([p.item_counts for p in parts]),
            author_counts=np.concatenate([p.author_counts for p in parts]),
            topic_counts=np.concatenate([p.topic_counts for p in parts]),
            cross=np.concatenate([p.cross for p in parts]),
            count_names=parts[0].count_names,
            pair_counts=np.concatenate([p.pair_counts for p in parts]),
            facts=_joined([p.facts for p in parts if p.facts is not None], len(parts)),
        )


def _joined(facts: list[Facts], n: int) -> Facts | None:
    if len(facts) < n:
        return None
    width = max(f.codes.shape[1] for f in facts)
    return Facts(
        np.concatenate([f.author for f in facts]),
        np.concatenate([f.topics for f in facts]),
        np.concatenate([_widen(f.codes, width) for f in facts]),
    )


def _widen(codes: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    return np.pad(codes, ((0, 0), (0, width - codes.shape[1])))
