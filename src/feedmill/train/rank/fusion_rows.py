"""Logged rows to fit a fusion on: what a ranker says of impressions that came after all it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from feedmill.core.workspace import Workspace
from feedmill.rerank.finish_length import finish_lengths, fit_finish_length
from feedmill.rerank.fusion import FINISH, FusionConfig
from feedmill.rerank.fusion_search import Logged, target_of
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.state import Replay
from feedmill.train.rank.later import later_rows


class FusionRows(NamedTuple):
    """The rows, what the target counts, and a sentence that says where they come from."""

    logged: Logged
    worth: dict[str, float]
    told: str


def fusion_rows(workspace: Workspace, replay: Replay, worth: Mapping[str, float], seed: int) -> FusionRows:
    """A ranker trained on the older three quarters of the training side, and its word on the impressions after them.

    The test of the configured split is not touched.

    Args:
        worth: of each label in the target; none: the seconds watched where the log has them, else all feedback alike.

    Raises:
        ConfigError: there is no ranker, or the target names no label.
        DataError: the log has no impressions after the cut, or too little to train on.
    """
    later = later_rows(workspace, replay, seed)
    probs, samples = later.probs, later.samples
    if workspace.section("rerank.fusion", FusionConfig).finish == "length_adjusted" and FINISH in later.heads:
        curve = fit_finish_length(later.earlier, later.state)
        if curve is not None:
            probs[:, later.heads.index(FINISH)] /= finish_lengths(curve, later.state)(samples.probe.item)
    counted = dict(worth) or _default(samples.heads)
    target = target_of(samples.labels, samples.mask, samples.heads, counted)
    user = samples.probe.user[samples.probe.request_of].astype(np.int64)
    return FusionRows(Logged(later.heads, probs, user, target), counted, str(later))


def _default(heads: tuple[str, ...]) -> dict[str, float]:
    return {WATCH_HEAD: 1.0} if WATCH_HEAD in heads else dict.fromkeys(heads, 1.0)
