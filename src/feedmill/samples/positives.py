"""Positives of retrieval: what users chose, whoever or whatever put it before them.

Every watch the log knows is an example, organic ones and those that followed a search too (Covington et al. 2016): what
a recommender showed is a part of what people want. Shown-but-not-clicked items are no rows here: they are the ranker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, ProbeBatch
from feedmill.core.config import Config, nearest
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.samples.rows import HEADS
from feedmill.samples.splits import moments
from feedmill.state import State


class PositivesConfig(Config, frozen=True):
    """Which events are examples, and what each weighs."""

    head: Annotated[str, Meta(description=f"feedback that makes a positive: {', '.join(HEADS)}")] = "click"
    examples_per_user: Annotated[
        int, Meta(ge=0, description="the newest of each user at most, so that active users do not rule; 0 = all")
    ] = 0
    reward: Annotated[
        Literal["one", "watch_s", "watch_ratio"],
        Meta(description="weight of an example: 1, seconds watched, or seconds over duration (at most 3)"),
    ] = "one"
    context: Annotated[
        Literal["before", "others"],
        Meta(
            description="what a user is known by: before = what came before the example; others = a random part of the"
            " user's other items, for logs whose order means nothing"
        ),
    ] = "before"
    known_share: Annotated[
        float, Meta(ge=0, lt=1, description="others: share of a user's items that the user is known by")
    ] = 0.5

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f'no head "{self.head}", one of {list(HEADS)} {nearest(self.head, HEADS)}'.rstrip())


@dataclass(frozen=True, slots=True, eq=False)
class Positives:
    """n examples in log order.

    Attributes:
        probe: a request per example with its item as the one candidate, at the moment it was asked for: what came of
            that moment, its impressions included, is not known.
        reward: float32[n].
    """

    probe: ProbeBatch
    reward: Floats

    def taken(self, keep: Mask) -> Positives:
        """The examples of a mask bool[n]."""
        of, n = self.probe, int(keep.sum())
        probe = ProbeBatch(of.user[keep], of.time_ms[keep], of.at[keep], of.item[keep], np.arange(n, dtype=np.int32))
        return Positives(probe, self.reward[keep])

    def __len__(self) -> int:
        return len(self.reward)


def positives(events: EventBatch, state: State, config: PositivesConfig) -> Positives:
    """Each user's first event of the head with each item.

    Args:
        events: the training log, in order; ids must have rows in ``state``.

    Raises:
        DataError: there is no such event.
    """
    frame = pl.DataFrame(
        {
            "at": np.arange(len(events)),
            "kind": events.numpy("kind"),
            "time_ms": events.numpy("time_ms"),
            "user": state.users.rows(events.table.column("user_id")),
            "item": state.items.rows(events.table.column("item_id")),
            "value": events.numpy("value"),
        }
    ).filter(pl.col("user") > 0, pl.col("item") > 0)
    chosen = frame.filter(pl.col("kind").is_in([int(k) for k in HEADS[config.head]]))
    chosen = chosen.unique(["user", "item"], keep="first", maintain_order=True)
    if not len(chosen):
        raise DataError(
            f"a log without a {config.head}",
            "events to learn from",
            f"ingest some, or set another head ({', '.join(HEADS)})",
        )
    if config.examples_per_user:
        chosen = chosen.filter(pl.col("at").rank("ordinal", descending=True).over("user") <= config.examples_per_user)
    at = moments(events, chosen["at"].to_numpy())
    order = np.argsort(at, kind="stable")
    chosen = chosen[order]
    probe = ProbeBatch(
        user=chosen["user"].to_numpy(),
        time_ms=events.numpy("time_ms")[at[order]],
        at=at[order],
        item=chosen["item"].to_numpy(),
        request_of=np.arange(len(chosen), dtype=np.int32),
    )
    return Positives(probe, _reward(chosen, frame, state, config.reward))


def _reward(chosen: pl.DataFrame, frame: pl.DataFrame, state: State, kind: str) -> Floats:
    if kind == "one":
        return np.ones(len(chosen), np.float32)
    watched = frame.filter(pl.col("kind") == int(Kind.WATCH)).group_by("user", "item").agg(pl.col("value").sum())
    seconds = chosen.select("user", "item").join(watched, on=["user", "item"], how="left", maintain_order="left")
    watch_s: NDArray[np.float32] = seconds["value"].fill_null(0.0).to_numpy().astype(np.float32)
    if kind == "watch_s":
        return np.maximum(watch_s, 0)
    duration_s = state.catalogue.duration_s[chosen["item"].to_numpy()]
    ratio = np.divide(watch_s, duration_s, out=np.zeros_like(watch_s), where=duration_s > 0)
    clipped: Floats = np.clip(ratio, 0, 3)
    return clipped
