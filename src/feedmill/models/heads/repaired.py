"""Heads that read low, and what makes up for it: one mechanism for all of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch import Tensor

from feedmill.models.heads.cuts import Doubles
from feedmill.models.heads.head import Numbers, WatchTimeConfig, WatchTimeHead
from feedmill.models.heads.lift import Lift
from feedmill.models.heads.retransformation import Retransformation


class RepairedConfig(WatchTimeConfig, frozen=True):
    """Parameters of the heads that may be repaired."""

    repair: Annotated[
        Literal["none", "constant", "duration", "learned"],
        Meta(
            description="of reading low, by a factor: constant, one from the labels; duration, by how long items last, "
            "from the labels; learned, with a logit of its own, which makes it the mean"
        ),
    ] = "none"


class RepairedHead(WatchTimeHead):
    """What a head serves (``low``), times a factor from the labels (``retransformation``), or lifted (``lift``).

    A subclass has ``low``, ``own_loss`` and ``turned_back``, and calls ``begin`` when its constants are there. A
    learned repair is the last logit, after the head's own.
    """

    config: RepairedConfig

    def begin(self, t: Doubles, duration: Numbers) -> None:
        """Read the repair off float64[n] capped seconds and float32[n] durations."""
        self.factor, self.lift = None, None
        if self.config.repair == "learned":
            self.lift, self.n_logits = Lift(t, self.turned_back(t)), self.n_logits + 1
        elif self.config.repair != "none":
            lengths = self.known(torch.from_numpy(duration)).numpy()
            self.factor = Retransformation(t, self.turned_back, lengths, self.config.repair)

    @property
    def reads_duration(self) -> bool:  # type: ignore[override]  # of these heads it depends on the config
        """Whether ``predict`` does."""
        return self.config.repair == "duration"

    @abstractmethod
    def turned_back(self, t: Doubles) -> float:
        """Seconds that are served where t is distributed like float64[m]."""

    @abstractmethod
    def low(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] -> float32[B] seconds before any repair."""

    @abstractmethod
    def own_loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] capped seconds, float32[B] -> float32[B], without weight and repair."""

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] seconds, float32[B] -> float32[B]."""
        t = self.capped(seconds)
        each = self.own_loss(logits, t, duration)
        if self.lift is not None:
            each = each + self.lift.loss(logits[:, -1], self.low(logits, duration), t)
        return self.config.weight * each

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] -> float32[B] seconds, from 0 to ``cap_s``."""
        low = self.low(logits, duration)
        if self.lift is not None:
            served: Tensor = self.lift(logits[:, -1], low, self.config.cap_s)
            return served
        return self.capped(low if self.factor is None else low * self.factor(self.known(duration)))
