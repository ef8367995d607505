"""Seconds watched as a share of the item's duration."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.core.errors import DataError
from feedmill.models.heads.head import About, Numbers, WatchTimeConfig, WatchTimeHead


class CompletionConfig(WatchTimeConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "completion" }``."""

    replays: Annotated[
        float, Meta(ge=1, le=1000, description="plays that count: watches beyond this many durations are clipped")
    ] = 1.0


class CompletionHead(WatchTimeHead):
    """``y = min(m, t / duration) / m`` of m plays by cross-entropy, served as ``s(z) m duration``.

    ``L = y sp(-z) + (1 - y) sp(z)`` with sp = log(1 + e^z), finite for any logits, gradient s(z) - y. At its minimum
    s(z) = E[y | x]; the duration is part of x, so that what is served is E[min(t, m duration) | x]. With m = 1 the
    replays are lost, which reads low by their share of the seconds; a larger ``replays`` keeps them, and spreads the
    targets of single plays over less of the sigmoid. A row counts the same whether its item is long or short, so that
    an error of a second weighs 1 / duration^2: less on the long ones. Costs one logit.
    """

    Config = CompletionConfig
    config: CompletionConfig
    reads_duration = True
    about = About(
        estimates="mean of min(t, replays x duration)",
        assumes="few replays beyond those that count",
        bias="low by the seconds of the replays that are clipped; none for those that are kept",
        source="play completion rate, as widely used; cross-entropy of shares after Papke and Wooldridge, 1996",
    )
    log_odds: Tensor

    def __init__(self, config: CompletionConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        shares = self.share(torch.from_numpy(seconds), torch.from_numpy(duration))
        if shares.min() == shares.max():
            raise DataError(
                f"{len(seconds):,} rows that were all watched {float(shares[0]):.0%} of what counts",
                "more than one distinct share of the duration",
                "check watch times and duration_s, or raise replays",
            )
        mean = float(shares.double().mean())
        self.register_buffer("log_odds", torch.tensor(math.log(mean / (1 - mean)), dtype=torch.float32))

    def share(self, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B] watched, float32[B] duration -> float32[B] in [0, 1], of the plays that count."""
        return (self.capped(seconds) / (self.config.replays * self.known(duration))).clamp(max=1)

    def loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1], float32[B], float32[B] -> float32[B] cross-entropy in nats."""
        z, y = logits[:, 0] + self.log_odds, self.share(seconds, duration)
        return self.config.weight * (y * softplus(-z) + (1 - y) * softplus(z))

    def predict(self, logits: Tensor, duration: Tensor) -> Tensor:
        """float32[B, 1], float32[B] -> float32[B] seconds."""
        plays = self.config.replays * torch.sigmoid(logits[:, 0] + self.log_odds)
        return self.capped(plays * self.known(duration))
