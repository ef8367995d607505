"""What every head for watch time has: constants read off the labels it will learn, a loss, and what its logits say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from feedmill.core.config import Config
from feedmill.core.errors import DataError

Numbers = NDArray[np.float32]


class About(NamedTuple):
    """What a head says of itself, in a table beside the others."""

    estimates: str  # of t given x, such as "mean"
    assumes: str  # of t
    bias: str  # of what it serves as seconds
    source: str


class WatchTimeConfig(Config, frozen=True):
    """Parameters that all kinds of ``watch_time`` share."""

    cap_s: Annotated[float, Meta(gt=0, description="longer watches count as this many seconds")] = 3600.0
    weight: Annotated[float, Meta(gt=0, description="of this loss beside the other heads' losses")] = 1.0


class Examples(NamedTuple):
    """What is learned from in the place of N rows: M weighted answers of yes or no.

    Attributes:
        row: int64[M], of the N; ascending.
        label: float32[M] of 0 and 1.
        weight: float32[M].
    """

    row: NDArray[np.int64]
    label: NDArray[np.float32]
    weight: NDArray[np.float32]


class WatchTimeHead(nn.Module, ABC):
    """A head is constructed with the labels it will learn, and keeps what it needs of them as buffers.

    Args:
        config: of its kind.
        seconds: float32[n] watched, of the training rows; 0 where a row was not watched.
        duration: float32[n] seconds that each row's item lasts, NaN = unknown.

    Attributes:
        about: what it estimates.
        gives: what ``predict`` returns, "seconds", or a word for what is none.
        n_logits: columns of logits it reads.
        reads_duration: whether ``loss`` or ``predict`` read the duration; an unknown one (NaN) counts as ``typical_s``.

    Raises:
        DataError: no rows; seconds that are negative or not finite; a duration of 0 or less; a head that reads the
            duration and no known one.
    """

    Config: ClassVar[type[WatchTimeConfig]]
    about: ClassVar[About]
    gives: ClassVar[str] = "seconds"
    reads_duration: ClassVar[bool] = False
    n_logits: int = 1
    typical_s: Tensor

    def __init__(self, config: WatchTimeConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__()
        _check(seconds, duration)
        self.config = config
        known = duration[~np.isnan(duration)]
        if self.reads_duration and not len(known):
            raise DataError(
                f"{len(duration):,} rows of which no duration is known",
                "durations of items",
                "describe items with duration_s, or choose a watch-time head that does not read it",
            )
        self.register_buffer("typical_s", torch.tensor(float(np.median(known)) if len(known) else 1.0))

    @abstractmethod
    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] watched, float32[B] -> float32[B], finite, also its gradient."""

    @abstractmethod
    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] -> float32[B], finite; ``gives`` says what."""

    def examples(self, seconds: Numbers, seed: int) -> Examples | None:
        """What to learn from in the place of the rows; None = each row once, by ``loss``."""
        return None

    def example_loss(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """float32[B, 1], float32[B] and float32[B] of ``examples`` -> float32[B], weighted cross-entropy in nats."""
        z = logits[:, 0]
        return self.config.weight * weight * torch.where(label > 0, softplus(-z), softplus(z))

    def capped(self, seconds: Tensor) -> Tensor:
        """Seconds from 0 to the cap."""
        return seconds.clamp(0.0, self.config.cap_s)  # 0.0: a graph wants bounds of one type

    def known(self, duration: Tensor | None) -> Tensor:
        """Durations with the typical one where it is unknown; None = nobody reads them, and the graph has none."""
        if duration is None:
            return self.typical_s[None]
        return torch.where(duration > 0, duration, self.typical_s)


def _check(seconds: Numbers, duration: Numbers) -> None:
    if not len(seconds) or len(seconds) != len(duration):
        raise DataError(f"{len(seconds):,} watch times and {len(duration):,} durations", "as many of both, more than 0")
    wrong = ~(np.isfinite(seconds) & (seconds >= 0))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} of {len(seconds):,} watch times below 0 or not numbers, such as {seconds[wrong][0]}",
            "seconds from 0",
            "mask those rows: their watch time is not known",
        )
    if (duration <= 0).any() or np.isinf(duration).any():
        raise DataError(
            f"{int((~(duration > 0) & ~np.isnan(duration)).sum()):,} durations of 0 s or less, or without end",
            "seconds above 0, NaN where unknown",
            "leave duration_s out of items that have none",
        )
