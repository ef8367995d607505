"""Fusion: what the heads predict of a candidate becomes the one value it is ordered by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Rows
from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError
from feedmill.core.protocols import finite

PRERANK, FINISH = "prerank", "finish"
RANK_OFFSET = 60  # of reciprocal rank fusion: how little the first places differ (Cormack et al., SIGIR 2009)


class FusionConfig(Config, frozen=True, kw_only=True):
    """value = sum of w_h p_h, or product of (a + p_h)^w_h, over the heads named in ``weights``."""

    form: Annotated[Literal["sum", "product"], Meta(description="sum of w p, or product of (offset + p)^w")] = "sum"
    offset: Annotated[
        float, Meta(ge=0, description="a in (a + p)^w: how little a head near 0 may pull the value down")
    ] = 1.0
    weights: Annotated[
        dict[str, float],
        Meta(description="weight of each head, below 0 for a dislike; none = 1 for every head"),
    ] = {}
    finish: Annotated[
        Literal["plain", "length_adjusted"],
        Meta(description="length_adjusted: p(finish) / f(length), so that short items do not win by being short"),
    ] = "plain"


Lengths = Callable[[Rows], Floats]
"""Item rows -> f(length) of each: how much likelier than on average items of its length are finished."""


def check(config: FusionConfig, heads: Sequence[str]) -> None:
    """Every weight must be of a head that can be. A log may lack its feedback: such a weight has no effect.

    Args:
        heads: all that a scorer could give, whatever this log has.

    Raises:
        ConfigError: an unknown head; the message names the nearest.
    """
    for name in config.weights:
        if name not in heads:
            raise ConfigError(
                f'rerank.fusion.weights: no head "{name}"', f"one of {sorted(heads)}", nearest(name, heads)
            )


def fuse(candidates: CandidateBatch, config: FusionConfig, lengths: Lengths | None = None) -> Floats:
    """float32[C]; a candidate with a score missing (NaN) sinks to the lowest float32.

    When no head of the ranker is there (no model yet, or no time for it), the pre-rank score is the value,
    failing that what a weighted merge gave, and failing that the reciprocal ranks in the channels, added up.

    Args:
        lengths: f of ``finish = "length_adjusted"`` (``rerank.finish_length``); without it p(finish) stays as it is.
    """
    ranked = {h: candidates.score(h) for h in candidates.heads if h != PRERANK or h in config.weights}
    weights = config.weights or dict.fromkeys(ranked, 1.0)
    used = [h for h in weights if h in ranked]
    if not any(h != PRERANK for h in used):
        if PRERANK in candidates.heads:
            return finite(candidates.score(PRERANK))
        if candidates.value.any():
            return finite(candidates.value)
        return reciprocal_ranks(candidates)
    w = np.array([weights[h] for h in used])
    p = np.column_stack([ranked[h] for h in used]).astype(np.float64)
    if FINISH in used and config.finish == "length_adjusted" and lengths is not None:
        p[:, used.index(FINISH)] /= lengths(candidates.item)
    return finite(combine(p, w, config.form, config.offset).astype(np.float32))


def combine(probs: NDArray[Any], weights: NDArray[Any], form: str, offset: float) -> NDArray[np.float64]:
    """float64[n]: sum of w_h p_h, or product of (offset + p_h)^w_h, of [n, H] probabilities; NaN where it is no number.

    A head of weight 0 has no say, not even by a missing score.
    """
    has_say = weights != 0
    p, w = probs[:, has_say], weights[has_say]
    if form == "sum":
        return np.asarray(p @ w, np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray(np.prod((offset + p) ** w, axis=1), np.float64)


def worth(value: Floats) -> NDArray[np.float64]:
    """float64[C]: values as they add up; what has sunk, its score missing, is worth 0."""
    return np.where(np.isfinite(value) & (value > np.finfo(np.float32).min), value, 0.0).astype(np.float64)


def reciprocal_ranks(candidates: CandidateBatch) -> Floats:
    """float32[C]: 1/(60 + rank), the best having rank 1, added up over the channels that found the item."""
    value = np.zeros(len(candidates))
    for scores in candidates.found.T:
        found = np.flatnonzero(~np.isnan(scores))
        order = found[np.argsort(-scores[found], kind="stable")]
        value[order] += 1 / (RANK_OFFSET + 1 + np.arange(len(order)))
    return value.astype(np.float32)
