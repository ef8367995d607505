"""What a pre-ranker learns from: what users did with the samples, and what the ranker says of candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feedmill.core.batches import CandidateBatch, Floats, Part, ProbeBatch, Rows, SampleBatch
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Arrays
from feedmill.features import FeatureBatch, FeatureSpec, assemble
from feedmill.features.served.late_fusion import alone
from feedmill.features.served.logged import requests, served_scores
from feedmill.models.embeddings import FusedEmbedding
from feedmill.rerank.fusion import FusionConfig, fuse
from feedmill.state import Probed, State
from feedmill.train.loop import Features

CHUNK = 50_000  # candidates that the ranker scores at once
POPULAR = 0.75  # drawn by so much of a power of how often an item is among the samples

Value = Callable[[Floats, tuple[str, ...]], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Requests with what is to be learned of their candidates.

    Attributes:
        features: of R requests and C candidates, with the numbers of items that need no user.
        n: R.
        label: float32[C] in 0..1, what users did; None where nobody was asked.
        soft: float32[C] in 0..1, what the ranker says; None without distillation.
        weight: float32[C], 0 where nothing is known.
    """

    features: Features
    n: int
    label: Tensor | None
    soft: Tensor | None
    weight: Tensor


def fused(config: FusionConfig) -> Value:
    """What a candidate is worth by the workspace's fusion, from the ranker's heads alone."""

    def value(scores: Floats, heads: tuple[str, ...]) -> Floats:
        candidates = CandidateBatch.of("", np.arange(len(scores), dtype=np.int32), np.zeros(len(scores), np.float32))
        return fuse(candidates.with_scores(heads, scores), config)

    return value


class Scale:
    """Heads -> one number in 0..1: the fused value between that of nothing and the best there is in the labels.

    Raises:
        DataError: all labels are worth the same.
    """

    def __init__(self, labels: Floats, heads: tuple[str, ...], value: Value) -> None:
        self._heads, self._value = heads, value
        self._low = float(value(np.zeros((1, len(heads)), np.float32), heads)[0])
        self._high = float(value(np.ascontiguousarray(labels), heads).max(initial=self._low))
        if not self._high > self._low:
            raise DataError(
                "samples that fusion values alike",
                "feedback of a head with a weight above 0",
                "look at rerank.fusion.weights, or use another prerank.kind",
            )

    def __call__(self, scores: Floats) -> Tensor:
        """float32[C, H] -> float32[C]."""
        values = self._value(np.ascontiguousarray(scores), self._heads)
        return torch.from_numpy(((values - self._low) / (self._high - self._low)).clip(0, 1).astype(np.float32))


class Teacher:
    """Makes lessons.

    Args:
        ranker: the part of the model whose order is to be learned, of any kind.
        state: as of the end of the training log.
    """

    def __init__(
        self, spec: FeatureSpec, arrays: Arrays, ranker: Part, embedding: FusedEmbedding, scale: Scale, state: State
    ) -> None:
        self._spec, self._arrays, self._embedding, self._scale = spec, arrays, embedding, scale
        self._ranker, self._columns, self._state = ranker, alone(spec), state

    def observed(self, batch: FeatureBatch, samples: SampleBatch, labels: Floats, probed: Probed | None) -> Lesson:
        """The ranker's samples.

        Args:
            labels: float32[C, H] of the ranker's heads.
            probed: the samples as the state answered, to ask the ranker of them; None = do not.
        """
        known = samples.mask.any(axis=1)
        return Lesson(
            self._features(batch),
            len(samples.probe),
            self._scale(labels),
            self._said(probed) if probed is not None else None,
            torch.from_numpy(np.where(known, samples.loss_weight, 0).astype(np.float32)),
        )

    def drawn(self, users: Rows, items: NDArray[np.int32]) -> Lesson:
        """Users as of now with candidates nobody has shown them.

        Args:
            users: int32[R].
            items: int32[R, n].
        """
        n, width = items.shape
        probe = ProbeBatch(
            users, np.full(n, self._state.newest_ms), np.zeros(n, np.int64), items.ravel(),
            np.repeat(np.arange(n, dtype=np.int32), width),
        )  # fmt: skip
        probed = self._state.fold(EventBatch.empty(), probe)
        assert probed is not None
        batch = assemble(self._spec, self._arrays, self._state, probed)
        return Lesson(self._features(batch), n, None, self._said(probed), torch.ones(n * width))

    def _features(self, batch: FeatureBatch) -> Features:
        numbers = np.ascontiguousarray(batch.item_numeric[:, self._columns])
        alone_spec = msgspec.structs.replace(self._spec, attention=())  # which reads user and item together
        return Features(alone_spec, replace(batch, item_numeric=numbers), self._embedding)

    def _said(self, probed: Probed) -> Tensor:
        n = len(probed.users)
        step = max(CHUNK * n // max(len(probed), 1), 1)
        parts = [requests(probed, at, min(at + step, n)) for at in range(0, n, step)]
        return self._scale(np.concatenate([served_scores(self._ranker, self._state, part) for part in parts]))


def draw(samples: SampleBatch, labels: Floats, n_items: int, n_requests: int, n_each: int, seed: int) -> Any:
    """(int32[R] users of the samples, int32[R, n] items: half uniform, half by popularity among the positives)."""
    random = rng(seed, "prerank", "drawn")
    users = np.unique(samples.probe.user)
    users = np.sort(random.choice(users, n_requests, replace=n_requests > len(users))).astype(np.int32)
    count = np.bincount(samples.probe.item[labels.any(axis=1)], minlength=n_items).astype(np.float64)
    count[0] = 0
    cumulative = np.cumsum(count**POPULAR)
    popular = np.searchsorted(cumulative, random.random((n_requests, n_each)) * cumulative[-1], "right")
    uniform = random.integers(1, n_items, (n_requests, n_each))
    items = np.where(random.random((n_requests, n_each)) < 0.5, popular, uniform)
    return users, np.minimum(items, n_items - 1).astype(np.int32)
