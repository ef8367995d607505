"""A ranker whose probabilities are put right: for the negatives it did not see, then by what was held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.features.buckets import Buckets
from feedmill.features.served.named import Named
from feedmill.metrics.calibrators import Calibrator, apply, logit, opened, sigmoid
from feedmill.metrics.down_sampling import corrected_heads
from feedmill.state import State

KEY = "calibration"  # of a part's config
PROBABILITY = "probability"
ONLINE = "online"  # an array of a part, [H, 2]: slope and intercept of each head's logit, which move while it serves


class Scores(Protocol):
    """What is put right: ``features.served.graph.Graph`` or its like."""

    heads: tuple[str, ...]

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H]."""
        ...

    def read(self, user: UserColumns, items: Rows) -> Named:
        """What ``score`` reads of the same."""
        ...


def calibrated(graph: Scores, part: Part, state: State) -> Scores:
    """The graph itself where its part says nothing of calibration, and has none that moves.

    Raises:
        ArtifactError: the part says what cannot be read.
    """
    return Calibrated(graph, part, state) if part.config.get(KEY) or ONLINE in part.arrays else graph


class Calibrated:
    """A graph and what its part says of calibration: one correction for down-sampling and a calibrator per head, and a
    line on the logit that follows the stream between two versions.

    Only heads that are probabilities change. A probability that is missing (NaN) stays missing.
    """

    def __init__(self, graph: Scores, part: Part, state: State) -> None:
        self.heads = graph.heads
        self._graph = graph
        self._put_right = Correction.of(part, state) if part.config.get(KEY) else None
        self._online = np.asarray(part.arrays[ONLINE]) if ONLINE in part.arrays else None
        kinds = list(part.config.get("head_kinds", []))
        self._is_probability = np.array([bool(name) for name in probabilities(self.heads, kinds)])

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H] of candidate rows for one user (R = 1)."""
        raw = self._graph.score(user, items)
        if self._put_right is not None:
            raw = self._put_right(raw, user, items, np.zeros(len(items), np.int64))
        return raw if self._online is None else lined(raw, self._online, self._is_probability)

    def read(self, user: UserColumns, items: Rows) -> Named:
        """What the graph reads."""
        return self._graph.read(user, items)


def straight(n_heads: int) -> Floats:
    """float32[H, 2], lines that change nothing."""
    return np.tile(np.array([1, 0], np.float32), (n_heads, 1))


def lined(scores: Floats, line: NDArray[np.floating], is_probability: NDArray[np.bool_]) -> Floats:
    """float32[C, H] scores with each head's logit times its slope plus its intercept.

    Args:
        line: [H, 2].
        is_probability: bool[H]; others stay, and so does what the line does not change.
    """
    columns = np.flatnonzero(is_probability & (line != (1, 0)).any(axis=1))
    if not len(columns):
        return scores
    out = np.array(scores, np.float32)
    out[:, columns] = sigmoid(logit(out[:, columns]) * line[columns, 0] + line[columns, 1])
    return out


class Correction:
    """The correction without a graph, for R users at once.

    Args:
        said: ``keep_negatives``, ``heads`` as ``metrics.calibrators.stored`` has them, and ``bucket`` of ``Buckets``.
        heads: name of each column of the scores, "" where it is no probability.

    Raises:
        ArtifactError: what is said cannot be read.
    """

    def __init__(
        self, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], heads: tuple[str, ...], state: State
    ) -> None:
        self._keep = float(said.get("keep_negatives", 1.0))
        if not 0 < self._keep <= 1:
            raise ArtifactError(
                f"a part with keep_negatives {self._keep}", "a share above 0 and at most 1", "train again"
            )
        self._columns = [h for h, head in enumerate(heads) if head]
        self._names = tuple(heads[h] for h in self._columns)
        self._calibrators: dict[str, Calibrator] = opened(said.get("heads", {}), arrays)
        self._which = Buckets.of(said["bucket"]).bind(state) if said.get("bucket") else None

    @staticmethod
    def of(part: Part, state: State) -> Correction:
        """What a part says, bound to a live state."""
        heads = probabilities(tuple(part.config.get("heads", ())), list(part.config.get("head_kinds", [])))
        return Correction(part.config[KEY], part.arrays, heads, state)

    def __call__(self, raw: Floats, users: UserColumns, item: Rows, request_of: NDArray[Any]) -> Floats:
        """float32[C, H] from raw scores float32[C, H]."""
        out = np.array(raw, np.float32)
        if not len(out):
            return out
        probs = np.asarray(raw, np.float64)[:, self._columns]
        probs = np.clip(np.where(np.isfinite(probs), probs, np.nan), 0, 1)
        if self._keep < 1:
            probs = corrected_heads(probs, self._keep)
        bucket = self._which(users, item, request_of) if self._which else np.zeros(len(item), np.int64)
        out[:, self._columns] = apply(self._calibrators, self._names, probs, bucket)
        return out


def probabilities(heads: tuple[str, ...], kinds: list[str]) -> tuple[str, ...]:
    """The heads by column, "" for those that are no probability."""
    kinds = kinds or [PROBABILITY] * len(heads)
    return tuple(head if kind == PROBABILITY else "" for head, kind in zip(heads, kinds, strict=True))
