"""Logged rows to fit a fusion on: what a ranker says of impressions that came after all it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.features.served.logged import served_scores
from feedmill.rerank.finish_length import finish_lengths, fit_finish_length
from feedmill.rerank.fusion import FINISH, FusionConfig
from feedmill.rerank.fusion_search import Logged, target_of
from feedmill.samples import SamplesConfig, sample, split
from feedmill.samples.down_sampling import taken
from feedmill.samples.splits import EvaluateConfig
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.train.learned import Learned
from feedmill.train.plans import Plans
from feedmill.train.rank.ranking import fit_ranking

LATER_SHARE = 0.25  # of the training side's consumption: what the fusion is fitted on


class FusionRows(NamedTuple):
    """The rows, what the target counts, and a sentence that says where they come from."""

    logged: Logged
    worth: dict[str, float]
    told: str


def fusion_rows(workspace: Workspace, events: EventBatch, worth: Mapping[str, float], seed: int) -> FusionRows:
    """A ranker trained on the older three quarters of the training side, and its word on the impressions after them.

    The test of the configured split is not touched.

    Args:
        worth: of each label in the target; none: the seconds watched where the log has them, else all feedback alike.

    Raises:
        ConfigError: there is no ranker, or the target names no label.
        DataError: the log has no impressions after the cut, or too little to train on.
    """
    plans = Plans.of(workspace)
    if plans.rank is None:
        raise ConfigError('rank.kind = "none"', "a ranker, whose heads are weighed", "remove it from feedmill.toml")
    held = split(events, workspace.section("evaluate", EvaluateConfig))
    training = events.take(np.flatnonzero(held.train))
    if not (training.numpy("kind") == Kind.IMPRESSION).any():
        raise DataError(
            "a log without impressions",
            "impressions: of what was not shown nobody knows what it would have been worth",
            "serve with [serve] expose = true, or ingest a log that has them",
        )
    cut = split(training, EvaluateConfig(split="global_time", share=LATER_SHARE))
    earlier = Learned(workspace, events, training.take(np.flatnonzero(cut.train)), seed)
    part = fit_ranking(plans.rank, earlier)[0]["rank"]
    after_ms = int(training.numpy("time_ms")[np.flatnonzero(cut.train)].max())
    config = replace(workspace.section("samples", SamplesConfig, drop=["interest"]), **_AS_SHOWN)
    whole = Learned(workspace, events, training, seed)
    samples, _ = sample(training, whole.state, config, seed)
    of = samples.probe.request_of
    later = taken(samples, samples.probe.time_ms[of] > after_ms)
    if not len(later):
        raise DataError("no impressions among the newest events", "some to fit weights on", "serve more first")
    probed = whole.then(later.probe)
    probs = served_scores(part, whole.state, probed).astype(np.float64)
    heads: tuple[str, ...] = tuple(part.config["heads"])
    if workspace.section("rerank.fusion", FusionConfig).finish == "length_adjusted" and FINISH in heads:
        curve = fit_finish_length(taken(samples, samples.probe.time_ms[of] <= after_ms), whole.state)
        if curve is not None:
            probs[:, heads.index(FINISH)] /= finish_lengths(curve, whole.state)(later.probe.item)
    counted = dict(worth) or _default(later.heads)
    target = target_of(later.labels, later.mask, later.heads, counted)
    user = later.probe.user[later.probe.request_of].astype(np.int64)
    told = f"{len(later):,} impressions of the training side, after all that their ranker learned from"
    return FusionRows(Logged(heads, probs, user, target), counted, told)


# Rows as they were shown: nothing left out, and seconds as a label whatever the ranker learns.
_AS_SHOWN = {
    "negatives": "shown", "keep_share": 1.0, "keep_negatives": 1.0, "watch_time": True, "min_positives": 1,
}  # fmt: skip


def _default(heads: tuple[str, ...]) -> dict[str, float]:
    return {WATCH_HEAD: 1.0} if WATCH_HEAD in heads else dict.fromkeys(heads, 1.0)
