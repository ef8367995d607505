"""DPP: the slate whose items are good and span much (Chen, Zhang and Zhou, NeurIPS 2018)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Floats
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank import kernels
from feedmill.rerank.notes import moved
from feedmill.rerank.similarity import Similarity, VarietyConfig, noise, stretch

LEAST_QUALITY = 1e-3  # of a value in [0, 1]: the logarithm of 0 would outweigh any variety


class DPPConfig(VarietyConfig, frozen=True, kw_only=True):
    """How value and variety are weighed, and what counts as alike."""

    form: Annotated[
        Literal["theta", "quality"],
        Meta(
            description="theta: theta x sum of values + (1 - theta) x log det S; quality: log det of diag(v) S diag(v)"
        ),
    ] = "theta"
    theta: Annotated[float, Meta(ge=0, le=1, description="form theta: weight of value against variety; 1 = value")] = (
        0.7
    )
    ridge: Annotated[
        float, Meta(gt=0, le=1, description="added to S's diagonal: twins stay possible, at the price log(ridge)")
    ] = 1e-2


class DPP:
    """Greedy argmax, slot by slot, of the value that is gained and of log det S over the last ``window`` slots.

    S is the similarity of ``similarity.Similarity`` with a ridge, which keeps the determinant of twins, and of windows
    longer than the rank of the similarity, above 0. The window counts the slot that is filled. Value is stretched to
    [0, 1] over the candidates of the request first. Of equal candidates the first in order of value wins.

    Args:
        config: see DPPConfig.
        state: its catalogue has the topics and authors.
        vectors: float32[N, D] by item row, or None; rows beyond it have no vector, which is like nothing.
    """

    Config = DPPConfig

    def __init__(self, config: DPPConfig, state: Any, vectors: Floats | None) -> None:
        self.config, self._alike = config, Similarity(config, state, vectors)
        self._pick(np.zeros(0, np.float32), np.zeros(0, np.int32), 0, 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; the note of what moved says how far, and how much of it was new where it is put."""
        k = max(0, min(k, len(candidates)))
        rows, fresh = self._pick(stretch(candidates.value), candidates.item, k, request.seed)
        return Picks(rows, tuple(map(note, range(len(rows)), rows.tolist(), fresh.tolist())))

    def gain(self, value: Floats) -> tuple[Floats, float]:
        """float32[C] what each candidate's value adds, and what log d is multiplied by."""
        if self.config.form == "theta":
            return (self.config.theta * value).astype(np.float32), 1 - self.config.theta
        return (2 * np.log(np.maximum(value, LEAST_QUALITY))).astype(np.float32), 1.0

    def _pick(self, value: Floats, item: Any, k: int, seed: int) -> tuple[Any, Any]:
        config, alike = self.config, self._alike.of(item)
        gain, variety = self.gain(value)
        drawn = noise(config.temperature, seed, "dpp", k, len(item))
        columns = (gain, drawn, alike.vectors, alike.topics, alike.author)
        weights = (variety, alike.topic_weight, alike.author_weight, config.ridge)
        rows, fresh = kernels.dpp(*columns, *weights, config.window, k)
        return rows, fresh


def note(now: int, was: int, fresh: float) -> str:
    """What a reader is told of one pick; ``fresh`` is the share of it that the window before did not have."""
    return "" if now == was else f"DPP {moved(now, was)}, {fresh:.0%} of it new there"
