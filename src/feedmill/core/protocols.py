"""The eight kinds of component, one verb each. The invariant in each docstring is what its contract suite tests.

The framework owns timing, tracing, deadlines, length checks and error isolation; a component writes the verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Mask, Rows, UserColumns
from feedmill.core.events import EventBatch
from feedmill.core.request import FeedRequest

Arrays = Mapping[str, NDArray[Any]]


class Receipt(NamedTuple):
    """What an append did: the offset after it, and how many events were new or already there."""

    offset: int
    n_new: int
    n_duplicate: int


class Erasure(NamedTuple):
    """What a person's being forgotten changed for whoever has derived something from the log.

    Attributes:
        epoch: the one that it began.
        time_ms: when.
        renames: (table of the state, row, the text that stands there now).
        digests: of ids before (as artifacts made before have it) -> of the same ids now.
    """

    epoch: int
    time_ms: int
    renames: tuple[tuple[str, int, str], ...]
    digests: Mapping[str, str]


class EventLog(Protocol):
    """An append-only sequence of events; an offset counts the events before it, also those that are gone.

    Order is kept, a read is repeatable within an epoch, and what ``append`` has returned for survives kill -9. Events
    whose ``event_id`` the log already has, and rows of a source at or below its highest row, are not appended again.
    """

    def append(self, batch: EventBatch) -> Receipt:
        """Durable before it returns. Raises LogError, and then none of the batch was written."""
        ...

    def read(self, offset: int, limit: int = 65_536) -> tuple[EventBatch, int]:
        """Events from ``offset`` and the offset after them; an empty batch at the end. At least one event
        and at most about ``limit`` (whole micro-batches are cut to it)."""
        ...

    @property
    def end(self) -> int:
        """The offset after the last event."""
        ...

    @property
    def start(self) -> int:
        """The offset of the first event that is still there; reading before it is refused."""
        ...

    @property
    def epoch(self) -> int:
        """How often events were replaced, a person having been forgotten; what was derived in an earlier epoch still
        has what they were, and is scrubbed or made again. Their number, order and offsets stay."""
        ...

    def erasures(self, since: int = 0) -> Sequence[Erasure]:
        """What began the epochs after ``since``, in order."""
        ...

    def kept(self) -> EventBatch:
        """Events from before ``start`` that nothing derived replaces (EXPERIMENT), in order."""
        ...

    def close(self) -> None: ...


class Dataset(Protocol):
    """A real log from elsewhere. Events come in time order, and every item_id in them is described."""

    name: str
    licence: str

    def events(self) -> Iterator[EventBatch]: ...

    def items(self) -> EventBatch: ...

    def users(self) -> EventBatch: ...


class Channel(Protocol):
    """Retrieval: at most ``limit`` unique items with finite scores, best first; answers for an unknown user.

    A class with ``learns = False`` reads the living state alone, and is served without having been trained.
    """

    name: str

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch: ...


class Scorer(Protocol):
    """Pre-rank and rank: float32[C, H], rows in the order of the candidates, finite or NaN for missing."""

    heads: tuple[str, ...]

    def score(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Floats: ...


class Filter(Protocol):
    """bool[C]: which candidates may be shown. A mask only, so that what was dropped is counted."""

    reason: str

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask: ...


class Picks(NamedTuple):
    """Rows of the candidates, best first, and a note for each: what the rule did to put it there ("" = nothing).

    ``cost``: the value that the rule gave up, where it knows better than the sum of values before less that after.
    """

    rows: Rows
    notes: tuple[str, ...]
    cost: float | None = None


class RerankRule(Protocol):
    """At most K distinct rows of the candidates, which come in order of value; deterministic given request.seed.

    A rule that cannot hold fills the slate all the same and says in the note which rule was relaxed. A rule that also
    decides whether some items come at all has ``members(candidates) -> Mask``: those it may leave out, no others.
    """

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks: ...


class WatchTimeHead(Protocol):
    """Watch seconds from logits (torch tensors); loss and gradient are finite at 0 seconds, at the cap, for replays.

    Constructed with its config and the labels it will learn, float32[n] seconds and durations (``models.heads.head``).
    """

    n_logits: int

    def loss(self, logits: Any, seconds: Any, duration: Any) -> Any: ...

    def predict(self, logits: Any, duration: Any) -> Any: ...


class RankingModel(Protocol):
    """A torch module: inputs of B rows -> logits[B, H].

    Order-equivariant (permuting rows permutes outputs), able to overfit 64 rows, and its state round-trips.
    """

    def forward(self, embedded: Any, numeric: Any) -> Any: ...


def finite(scores: Floats) -> Floats:
    """Scores that are not finite sink: NaN and infinities become the lowest float32."""
    return np.where(np.isfinite(scores), scores, np.finfo(np.float32).min).astype(np.float32)
