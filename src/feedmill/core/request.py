"""What is asked of the feed, what it answers, and the account it keeps of how it came to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import msgspec


class FeedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for ``n`` items.

    ``exclude`` holds ids that earlier pages of the same cursor have shown. ``deadline_ms`` is the budget for
    the whole chain: stages that would start after it are skipped and the answer says so.
    """

    request_id: str
    user_id: str
    n: int = 10
    time_ms: int = 0
    seed: int = 0
    deadline_ms: float = 200.0
    exclude: tuple[str, ...] = ()
    context: dict[str, str] = {}


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a feed with the reasons it stands where it stands.

    ``channels`` maps each channel that brought the item to the score it gave; ``scores`` has what every
    later stage said; ``why`` is a sentence for people.
    """

    item_id: str
    title: str
    position: int
    value: float
    channels: dict[str, float]
    scores: dict[str, float]
    why: str


class StageTrace(msgspec.Struct, kw_only=True):
    """One stage of one request: time, counts, what was dropped and why, and what went wrong if it did."""

    stage: str
    ms: float = 0.0
    n_in: int = 0
    n_out: int = 0
    dropped: dict[str, int] = {}
    error: str = ""
    cost: float = 0.0
    """Re-rank rules: the value that the first n slots lost by the rule."""


class ServedFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranker read in one request: by feature name the ids (rows of the model's table) or numbers.

    Attributes:
        user: of its user.
        items: of each item shown, in order; with what was made of it beforehand and looked up.
        context: what the request itself said of its user.
    """

    user: dict[str, list[int | float | None]]
    items: dict[str, list[list[int | float | None]]]
    context: dict[str, str] = {}


class Trace(msgspec.Struct, kw_only=True):
    """The whole account of a request: which model, which state, every stage, every candidate's fate."""

    request_id: str
    user_id: str
    time_ms: int
    version: str = ""
    steps: int = 0  # that rows of the version had moved by then (``publish.delta``)
    offset: int = 0
    degraded: list[str] = []
    stages: list[StageTrace] = []
    items: list[FeedItem] = []
    fates: dict[str, list[str]] = {}  # reason a candidate fell out -> item ids
    experiments: dict[str, str] = {}  # experiment, launch or "holdout" -> the arm the user is in
    acted: dict[str, str] = {}  # those of them whose stages ran in this request: exposures carry these
    ms: float = 0.0
    features: ServedFeatures | None = None  # of a sample of the requests, to be made again from the log

    @contextmanager
    def stage(self, name: str, n_in: int = 0) -> Iterator[StageTrace]:
        """Time a stage; the caller fills in counts."""
        entry = StageTrace(stage=name, n_in=n_in)
        self.stages.append(entry)
        start = perf_counter()
        try:
            yield entry
        finally:
            entry.ms = round((perf_counter() - start) * 1e3, 3)


class FeedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: items best first, a cursor for the next page, and how degraded it is (empty = not)."""

    request_id: str
    user_id: str
    items: list[FeedItem]
    cursor: str = ""
    degraded: list[str] = []
    version: str = ""
    experiments: dict[str, str] = {}


def to_json(value: Any) -> bytes:
    """Any of the above as JSON; numbers that are not finite become null."""
    return msgspec.json.encode(value)
