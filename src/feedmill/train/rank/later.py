"""What a ranker says of impressions that came after all it learned from: to judge it, and to fit what uses it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import SampleBatch
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import Kind
from feedmill.core.workspace import Workspace
from feedmill.features.served.logged import served_scores
from feedmill.samples import SamplesConfig, sample, split
from feedmill.samples.down_sampling import taken
from feedmill.samples.rows import as_shown
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Probed, Replay, State
from feedmill.train.learned import Learned
from feedmill.train.plans import Plans
from feedmill.train.rank.ranking import fit_ranking

LATER_SHARE = 0.25  # of the training side's consumption


class Later(NamedTuple):
    """The rows after the cut, and those before.

    Attributes:
        heads: of the ranker, H.
        kinds: of each head, "probability" or "seconds".
        probs: float64[C, H] as they would be served, corrected and calibrated.
        samples: C rows with their labels; ``earlier`` those before the cut.
        probed: users and candidates of ``samples``.
        state: after the training side of the log.
    """

    heads: tuple[str, ...]
    kinds: tuple[str, ...]
    probs: NDArray[np.float64]
    samples: SampleBatch
    earlier: SampleBatch
    probed: Probed
    state: State

    def __str__(self) -> str:
        n = f"{len(self.samples):,}"
        return f"{n} impressions of the training side, after all that their ranker learned from"


def later_rows(workspace: Workspace, replay: Replay, seed: int) -> Later:
    """A ranker trained on the older three quarters of the training side, and its word on the impressions after them.

    The test of the configured split is not touched.

    Raises:
        ConfigError: there is no ranker.
        DataError: the log has no impressions after the cut, or too little to train on.
    """
    plans = Plans.of(workspace)
    if plans.rank is None:
        raise ConfigError('rank.kind = "none"', "a ranker", "remove it from feedmill.toml")
    held = split(replay.events, workspace.section("evaluate", EvaluateConfig))
    training = replay.events.take(np.flatnonzero(held.train))
    if not (training.numpy("kind") == Kind.IMPRESSION).any():
        raise DataError(
            "a log without impressions",
            "impressions: of what was not shown nobody knows what would have come of it",
            "serve with [serve] expose = true, or ingest a log that has them",
        )
    cut = split(training, EvaluateConfig(split="global_time", share=LATER_SHARE))
    learned = training.take(np.flatnonzero(cut.train))
    part = fit_ranking(plans.rank, Learned(workspace, replay, learned, seed))[0]["rank"]
    whole = Learned(workspace, replay, training, seed)
    config = as_shown(workspace.section("samples", SamplesConfig, drop=["interest", "join", "guard"]))
    samples, _ = sample(training, whole.state, config, seed)
    is_later = samples.probe.time_ms[samples.probe.request_of] > int(learned.numpy("time_ms").max())
    later = taken(samples, is_later)
    if not len(later):
        raise DataError("no impressions among the newest events", "some to look at", "serve more first")
    probed = whole.then(later.probe)
    probs = served_scores(part, whole.state, probed).astype(np.float64)
    heads = tuple(part.config["heads"])
    kinds = tuple(part.config.get("head_kinds", ["probability"] * len(heads)))
    return Later(heads, kinds, probs, later, taken(samples, ~is_later), probed, whole.state)
