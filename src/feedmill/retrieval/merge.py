"""Many channels' answers -> one list of candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Rows
from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError

MERGE_PART = "merge"  # of an artifact; its config has the learned ``weights`` by channel
RANK_OFFSET = 60  # of reciprocal ranks: how little the first places differ (Cormack et al. 2009)
Scale = Literal["sum", "rank", "max"]
Merge = Callable[[Sequence[CandidateBatch], int], CandidateBatch]


class MergeConfig(Config, frozen=True, kw_only=True):
    """Section ``[retrieval.merge]``."""

    kind: Annotated[
        Literal["rank", "weighted"],
        Meta(description="rank: an item stands at its best rank in any channel; weighted: by its scaled scores, added"),
    ] = "rank"
    scale: Annotated[
        Scale,
        Meta(
            description="weighted: scores over their sum, or over the best; or 1/(60 + rank), which knows no outliers"
        ),
    ] = "sum"
    weights: Annotated[
        dict[str, Annotated[float, Meta(ge=0)]],
        Meta(description="weighted: weight of a channel; of those not named what was learned, or else 1"),
    ] = {}
    learn: Annotated[bool, Meta(description="weighted: learn the weights on a held-out part of the training side")] = (
        False
    )
    shrinkage: Annotated[
        float, Meta(ge=0, description="learn: equal weights count as much as what so many users did")
    ] = 1000.0
    max_users: Annotated[int, Meta(ge=1, description="learn: held-out users at most, a seeded draw")] = 2000


def merge(batches: Sequence[CandidateBatch], limit: int) -> CandidateBatch:
    """The union of the channels' answers, each item once, at most ``limit`` of them.

    Channels' scores have different scales, so the order goes by rank: an item stands at its best rank in any
    channel; of the same rank, what more channels found is first, then the lower row. So a limit cuts every
    channel's tail alike. Found scores of all channels are kept, NaN where a channel did not bring the item.

    Args:
        batches: answers, best first; a column of ``found`` per channel, in the order given.
        limit: most candidates to return.
    """
    union = _union(batches)
    n_channels = np.count_nonzero(~np.isnan(union.found), axis=1)
    return union.take(np.lexsort((union.item, -n_channels, union.best)), limit, np.zeros(len(union.item), np.float32))


def weighted_merge(
    batches: Sequence[CandidateBatch], limit: int, weights: Mapping[str, float], scale: Scale
) -> CandidateBatch:
    """The same in order of value = sum over channels of weight x scaled score, which ``value`` keeps.

    Equal values go by best rank, then by row. A channel of weight 0 still brings its items, last.

    Args:
        weights: by channel; 1 for those not named.
    """
    union = _union(batches)
    of_channel = np.array([weights.get(name, 1.0) for name in union.channels], np.float32)
    value: Floats = (scaled(union.found, scale) * of_channel).sum(axis=1)  # the same wherever an item stands
    return union.take(np.lexsort((union.item, union.best, -value)), limit, value)


def merger(config: MergeConfig, learned: Mapping[str, float] | None = None) -> Merge:
    """What the config says, with the weights that an artifact has learned."""
    if config.kind == "rank":
        return merge
    return partial(weighted_merge, weights={**(learned or {}), **config.weights}, scale=config.scale)


def check_weights(config: MergeConfig, channels: Sequence[str]) -> None:
    """Every weight must be of a channel.

    Raises:
        ConfigError: one is not; the message names the nearest.
    """
    for name in config.weights:
        if name not in channels:
            raise ConfigError(
                f'retrieval.merge.weights: no channel "{name}"', f"one of {sorted(channels)}", nearest(name, channels)
            )


def scaled(found: Floats, scale: Scale) -> Floats:
    """float32[C, M]: each channel's answer on one scale; 0 where it did not bring the item.

    "sum" and "rank" add up to 1, "max" divides by the best score. Scores that may be negative, as inner products and
    distances are, have the least of them taken off first.

    Args:
        found: float32[C, M], NaN where a channel did not bring the item.
    """
    out = np.zeros(found.shape, np.float32)
    for m, scores in enumerate(found.T):
        at = np.flatnonzero(~np.isnan(scores))
        if not len(at):
            continue
        brought = scores[at].astype(np.float64)
        if scale == "rank":
            values = np.empty(len(at))
            values[np.argsort(-brought, kind="stable")] = 1 / (RANK_OFFSET + 1 + np.arange(len(at)))
        else:
            values = brought - min(0.0, brought.min())
        whole = values.max() if scale == "max" else values.sum()
        out[at, m] = values / whole if whole > 0 else 1 / len(at)
    return out


class _Union(NamedTuple):
    channels: tuple[str, ...]
    item: Rows
    found: Floats
    best: Rows  # the item's best rank in any channel

    def take(self, order: NDArray[np.intp], limit: int, value: Floats) -> CandidateBatch:
        order = order[: max(limit, 0)]
        none = np.zeros((len(order), 0), np.float32)
        return CandidateBatch(self.item[order], self.found[order], self.channels, none, (), value[order])


def _union(batches: Sequence[CandidateBatch]) -> _Union:
    channels = tuple(name for b in batches for name in b.channels)
    items = np.concatenate([np.zeros(0, np.int32), *(b.item for b in batches)])
    item, place = np.unique(items, return_inverse=True)
    found = np.full((len(item), len(channels)), np.nan, np.float32)
    best = np.full(len(item), np.iinfo(np.int32).max, np.int32)
    start = column = 0
    for b in batches:
        at = place[start : start + len(b)]
        best[at] = np.minimum(best[at], np.arange(len(b), dtype=np.int32))
        found[at, column : column + len(b.channels)] = b.found
        start, column = start + len(b), column + len(b.channels)
    return _Union(channels, item, found, best)
