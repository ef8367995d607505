"""Between two full passes: user-id rows of the ranker and of vector channels, and the regression on trees, move.

They start from the last full version. What has moved since is one small ``Delta`` that holds all of it, so a learner
that was stopped goes on from the newest, and a server needs no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from feedmill.core.batches import Floats, SampleBatch
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import Workspace
from feedmill.metrics.calibration import pcoc
from feedmill.metrics.classification import normalized_entropy
from feedmill.publish import Artifact
from feedmill.publish.delta import Delta
from feedmill.state import Probed, State
from feedmill.train.config import TrainConfig
from feedmill.train.plans import Plans
from feedmill.train.update.config import UpdateConfig
from feedmill.train.update.learners import learners
from feedmill.train.update.ranker_rows import aligned


class Incremental:
    """Learns from samples in the order of the log.

    Args:
        artifact: the last full version, loaded for the learner alone: one that a server puts deltas into is another.
        last: its newest delta, to go on from; None = begin.

    Attributes:
        heads: whose labels it learns from.
        seq: steps done since the full version.

    Raises:
        ArtifactError: the version keeps no weights or was trained with another config, or ``last`` is of another one.
        ConfigError: an unknown component or parameter.
    """

    def __init__(self, workspace: Workspace, artifact: Artifact, last: Delta | None = None) -> None:
        config = workspace.section("update", UpdateConfig).incremental
        tables = [k for k, v in workspace.raw.get("train", {}).items() if isinstance(v, Mapping)]
        seed = workspace.section("train", TrainConfig, drop=tables).seed
        self._base, self.seq, self._about = artifact, 0, dict[str, Any]()
        self.learners = learners(Plans.of(workspace), artifact.parts, config, seed)
        self.heads = frozenset(head for learner in self.learners.values() for head in learner.heads)
        if last is not None:
            self._resume(last)

    def step(self, samples: SampleBatch, probed: Probed, state: State, offset: int) -> Delta:
        """Learn from the rows; what has moved since the full version.

        Args:
            samples: in the order of the log; the rows are new ones.
            probed: their users and candidates, each as of its request.
            state: for what does not change with time.
            offset: of the log: what events before it closed has been learned from.
        """
        taught = samples.mask[:, [head in self.heads for head in samples.heads]]
        n_labels = self._about.get("n_labels", 0) + int(taught.sum())
        self._about = {"offset": offset, "n_samples": len(samples), "n_labels": n_labels}
        if len(samples):
            self._about["until_ms"] = int(samples.probe.time_ms.max())
        for name, learner in self.learners.items():
            said = learner.learn(samples, probed, state)
            if said is not None:
                self._about[name] = _progressive(aligned(samples, learner.heads), said, self._kinds(name))
        self.seq += 1
        return self.delta()

    def delta(self) -> Delta:
        """All that has moved."""
        changes = {name: learner.changes() for name, learner in self.learners.items()}
        return Delta(self._base.version, self.seq, changes, self._about)

    def roll_back(self, to: Delta | None) -> Delta:
        """Forget what was learned after an earlier delta (None: everything).

        It has a new number, so a server that has taken up what is forgotten is given the rows as they were.
        """
        self._check(to)
        for name, learner in self.learners.items():
            learner.back_to(to.changes.get(name, {}) if to is not None else {})
        self._about = dict(to.about) if to is not None else {}
        self._about["rolled_back"] = self.seq
        self.seq += 1
        return self.delta()

    def _resume(self, last: Delta) -> None:
        self._check(last)
        for name, learner in self.learners.items():
            learner.back_to(last.changes.get(name, {}))
        self.seq, self._about = last.seq, dict(last.about)

    def _check(self, delta: Delta | None) -> None:
        if delta is not None and delta.base != self._base.version:
            raise ArtifactError(f"a delta of version {delta.base}", f"one of {self._base.version}", "begin anew")

    def _kinds(self, name: str) -> list[str]:
        return list(self._base.parts[name].config.get("head_kinds", []))


def _progressive(samples: SampleBatch, said: Floats, kinds: list[str]) -> dict[str, Any]:
    """Normalised entropy and predicted over actual of what was said before it was learned from, by head."""
    out: dict[str, Any] = {"ne": {}, "pcoc": {}, "positives": {}, "predicted": {}}
    for h, (head, kind) in enumerate(zip(samples.heads, kinds or ["probability"] * len(samples.heads), strict=True)):
        rows = samples.mask[:, h] & np.isfinite(said[:, h])
        labels, probs, weight = samples.labels[rows, h], said[rows, h], samples.weight[rows]
        if kind == "probability" and len(labels):
            out["positives"][head] = round(float((labels * weight).sum()), 3)
            out["predicted"][head] = round(float((probs * weight).sum()), 3)
        if kind == "probability" and len(labels) and 0 < labels.sum() < len(labels):
            out["ne"][head] = round(normalized_entropy(labels, probs, weight), 6)
            out["pcoc"][head] = round(pcoc(labels, probs, weight), 6)
    return out
