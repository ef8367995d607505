"""The columnar batches that flow through the chain. Shapes: R requests, C candidates, H heads, T history.

Everything is addressed by **row**: the state gives each user and item id a dense int32 row in order of
first appearance in the log. Row 0 is nobody and nothing: never a candidate, neutral in every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.events import Kind

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]
Times = NDArray[np.int64]
Mask = NDArray[np.bool_]

# The recent histories the state keeps of each user, and the kinds of event that enter each; a kind may enter several.
LANES: dict[str, tuple[Kind, ...]] = {
    "clicked": (Kind.CLICK, Kind.WATCH, Kind.FINISH),
    "liked": (Kind.LIKE, Kind.FAVOURITE, Kind.SHARE, Kind.COMMENT, Kind.FOLLOW),
    "shown": (Kind.IMPRESSION,),
    "disliked": (Kind.DISLIKE,),
    "followed": (Kind.FOLLOW,),  # items whose author is followed
    "searched": (Kind.SEARCH,),
}
LANE_ROW = {name: i for i, name in enumerate(LANES)}
QUERY_LANES = ("searched",)  # their entries are rows of State.queries
ITEM_LANES = tuple(name for name in LANES if name not in QUERY_LANES)  # those of all others are item rows


@dataclass(frozen=True, slots=True, eq=False)
class UserColumns:
    """What the state knows of R users, each as of their request; in serving R = 1.

    Attributes:
        row: int32[R], 0 for a user the log has never seen.
        time_ms: int64[R], the time of the request.
        history: int32[R, L, T] item rows by lane (``LANES``), newest first, padded with 0; in ``QUERY_LANES`` rows of
            ``State.queries`` instead.
        history_ms: int64[R, L, T] when, 0 where padded.
        counts: float32[R, n_selected] the user's counters, decayed to ``time_ms`` (named by StateConfig.counts).
        profile: int32[R, P] codes of the user's attributes, 0 = unknown.
        first_ms: int64[R] time of the first event of theirs in the log that is counted, 0 if there is none.
        last_ms: int64[R] time of the newest.
        liked_topics: int32[R, 8] topic rows, those of most items in the liked history first, padded with 0.
    """

    row: Rows
    time_ms: Times
    history: Rows
    history_ms: Times
    counts: Floats
    profile: Rows
    first_ms: Times
    last_ms: Times
    liked_topics: Rows

    def __len__(self) -> int:
        return len(self.row)

    def recent(self, lane: str, at: int = 0) -> Rows:
        """Rows of one lane of request ``at``, newest first, without padding."""
        rows: Rows = self.history[at, LANE_ROW[lane]]
        return rows[rows > 0]


@dataclass(frozen=True, slots=True, eq=False)
class ProbeBatch:
    """R requests with their candidates: what to look up, and at which point of the event stream.

    Attributes:
        user: int32[R] rows.
        time_ms: int64[R].
        at: int64[R], ascending: request r sees exactly the first ``at[r]`` events of the batch it is folded with.
        item: int32[C] candidate rows, grouped by request.
        request_of: int32[C], ascending: the request of each candidate.
    """

    user: Rows
    time_ms: Times
    at: Times
    item: Rows
    request_of: Rows

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """Training rows: probes with what came of them.

    Attributes:
        probe: R requests, C rows.
        labels: float32[C, H].
        mask: bool[C, H], False where a head's label is not known.
        weight: float32[C], 1 / the probability with which the row was kept or drawn.
        heads: H names, such as ("click", "like").
        keep_negatives: w, the share of rows without any positive that was kept and that no weight of the loss makes up
            for: what is served corrects for it (``metrics.down_sampling``); 1 = nothing to correct.
    """

    probe: ProbeBatch
    labels: Floats
    mask: Mask
    weight: Floats
    heads: tuple[str, ...]
    keep_negatives: float = 1.0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def loss_weight(self) -> Floats:
        """float32[C] what the loss multiplies each row by: ``weight``, or 1 where what is served corrects for it."""
        return self.weight if self.keep_negatives == 1 else np.ones(len(self), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class CandidateBatch:
    """C candidates of one request as immutable columns; item attributes are looked up, never carried.

    Attributes:
        item: int32[C] rows, unique.
        found: float32[C, M] each channel's score, NaN where that channel did not bring the item.
        channels: the M channel names.
        scores: float32[C, S] what scorers said, a column per name in ``heads``.
        heads: S names, such as ("prerank", "click", "like").
        value: float32[C] the fused value; 0 before fusion.
    """

    item: Rows
    found: Floats
    channels: tuple[str, ...]
    scores: Floats
    heads: tuple[str, ...]
    value: Floats

    def __len__(self) -> int:
        return len(self.item)

    @staticmethod
    def of(channel: str, item: Rows | Sequence[int], score: Floats | Sequence[float]) -> CandidateBatch:
        """One channel's answer."""
        rows = np.asarray(item, np.int32)
        found = np.asarray(score, np.float32).reshape(len(rows), 1)
        none = np.zeros((len(rows), 0), np.float32)
        return CandidateBatch(rows, found, (channel,), none, (), np.zeros(len(rows), np.float32))

    @property
    def bits(self) -> NDArray[np.uint32]:
        """uint32[C]: bit m is set where channel m brought the item."""
        powers = np.uint32(1) << np.arange(len(self.channels), dtype=np.uint32)
        return np.asarray((~np.isnan(self.found)) @ powers, dtype=np.uint32)

    def take(self, rows: NDArray[np.intp] | Rows | Mask) -> CandidateBatch:
        """The given rows (indices or a mask), in the given order."""
        return replace(
            self, item=self.item[rows], found=self.found[rows], scores=self.scores[rows], value=self.value[rows]
        )

    def score(self, head: str) -> Floats:
        """float32[C] of one head.

        Raises:
            KeyError: no scorer has given that head.
        """
        if head not in self.heads:
            raise KeyError(f"no head {head!r} among {self.heads}")
        return self.scores[:, self.heads.index(head)]

    def with_scores(self, heads: Sequence[str], scores: Floats) -> CandidateBatch:
        """Columns float32[C, len(heads)] added after those there are."""
        return replace(self, scores=np.hstack([self.scores, scores]), heads=(*self.heads, *heads))

    def with_value(self, value: Floats) -> CandidateBatch:
        return replace(self, value=value)


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Who is interested in what: one row per (user, item), sorted by user, then time.

    Attributes:
        user: int32[n] rows.
        item: int32[n] rows.
        like: float32[n] interest weight >= 0, summed over feedback kinds.
        time_ms: int64[n] of the last event of the pair.
        n_users: rows of the user table, nobody (row 0) included.
        n_items: rows of the item table, nothing (row 0) included.
    """

    user: Rows
    item: Rows
    like: Floats
    time_ms: Times
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Part:
    """One trained component as it is stored: its kind, parameters, arrays (.npy, memory-mapped) and blobs (ONNX)."""

    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    blobs: Mapping[str, bytes] = field(default_factory=dict)
