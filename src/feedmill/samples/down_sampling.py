"""Sub-sampling: fewer rows to learn from, each with the chance it was kept with.

A row is dropped or kept as a whole. A row without a positive of any head is kept with chance ``keep_negatives``, every
other always: per head one would have to mask labels of rows that stay, which saves no work, and would give each head
chances of its own. So the rare heads lose no positive, and one chance per row is all there is to undo.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Mask, ProbeBatch, SampleBatch
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.samples.watch_seconds import WATCH_HEAD


class DownSampling(Config, frozen=True):
    """The part of section ``[samples]`` that says which rows are kept."""

    keep_share: Annotated[float, Meta(gt=0, le=1, description="share of requests to learn from, drawn evenly")] = 1.0
    keep_negatives: Annotated[
        float, Meta(gt=0, le=1, description="w, share kept of the impressions without any feedback")
    ] = 1.0
    undo_sampling: Annotated[
        Literal["correct", "weigh"],
        Meta(description="correct: what is served turns p into p/(p+(1-p)/w); weigh: the loss weighs rows by 1/w"),
    ] = "correct"


def down_sampled(samples: SampleBatch, config: DownSampling, seed: int, positive: Mask | None = None) -> SampleBatch:
    """The kept rows, their ``weight`` multiplied by 1 / the chance they were kept with.

    Validation is cut from these rows, so it is sampled like what is learned from; the test is never: what a split holds
    out is not in the log that is sampled.

    Args:
        positive: bool[C] what is not to be sampled as a negative; None = what has a positive of a known label.
    """
    is_asked = rng(seed, "keep_share").random(len(samples.probe)) < config.keep_share
    positive = is_positive(samples) if positive is None else positive
    is_drawn = rng(seed, "keep_negatives").random(len(samples)) < config.keep_negatives
    chance = np.where(positive, 1.0, config.keep_negatives) * config.keep_share
    kept = taken(samples, is_asked[samples.probe.request_of] & (positive | is_drawn))
    chance = chance[is_asked[samples.probe.request_of] & (positive | is_drawn)]
    return replace(
        kept,
        weight=(kept.weight / chance).astype(np.float32),
        keep_negatives=config.keep_negatives if config.undo_sampling == "correct" else 1.0,
    )


def is_positive(samples: SampleBatch) -> Mask:
    """bool[C]: a positive of any head of feedback; seconds watched are no such head."""
    columns = [i for i, head in enumerate(samples.heads) if head != WATCH_HEAD]
    labels = samples.labels[:, columns] * samples.mask[:, columns]
    return np.asarray((labels > 0).any(axis=1), np.bool_)


def taken(samples: SampleBatch, keep: Mask) -> SampleBatch:
    """The rows of a mask bool[C]; requests that have no row left go too."""
    probe = samples.probe
    request_of = probe.request_of[keep]
    left, renumbered = np.unique(request_of, return_inverse=True)
    return replace(
        samples,
        probe=ProbeBatch(
            user=probe.user[left],
            time_ms=probe.time_ms[left],
            at=probe.at[left],
            item=probe.item[keep],
            request_of=renumbered.astype(np.int32),
        ),
        labels=samples.labels[keep],
        mask=samples.mask[keep],
        weight=samples.weight[keep],
    )


def newest(samples: SampleBatch, n_requests: int) -> SampleBatch:
    """The rows of the newest requests, at most so many."""
    first = len(samples.probe) - n_requests
    return taken(samples, samples.probe.request_of >= first) if first > 0 else samples


def n_earlier(samples: SampleBatch, share: float) -> int:
    """How many of the R requests are not among the newest ``share``: those, in order of the log, validate."""
    n = len(samples.probe)
    return n - min(int(np.ceil(n * share)), n - 1) if n and share > 0 else n


def rows_from(samples: SampleBatch, first: int) -> NDArray[np.int64]:
    """int64: the rows of request ``first`` and all after it."""
    return np.flatnonzero(samples.probe.request_of >= first)
