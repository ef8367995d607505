"""Seconds watched by weighted cross-entropy of two answers per row, the way of feeds where every video is played."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import softplus

from feedmill.core.errors import ConfigError
from feedmill.models.heads.cuts import Doubles, capped_labels
from feedmill.models.heads.head import About, Examples, Numbers
from feedmill.models.heads.repaired import RepairedConfig, RepairedHead


class WCEConfig(RepairedConfig, frozen=True):
    """Parameters of ``watch_time = { kind = "wce" }``."""

    scheme: Annotated[
        int, Meta(ge=1, le=3, description="weight of the positive: 1 log2(1 + t), 2 log2(1 + t) + 1, 3 t itself")
    ] = 3
    cap: Annotated[
        float, Meta(ge=0, description="of the weight in schemes 1 and 2: 8 is 255 s and 127 s; 0 = none but cap_s")
    ] = 8.0
    way: Annotated[
        Literal["loss", "rows"],
        Meta(description="loss: both answers of a row at once; rows: each row twice, once positive, once negative"),
    ] = "loss"


class WCEHead(RepairedHead):
    """L = -(w log p + log(1 - p)), p = s(z); in the stable form w sp(-z) + sp(z), sp(z) = log(1 + e^z).

    dL/dz = p - w (1 - p), so that it is least at e^z = E[w | x].
    The odds e^z estimate the mean of w whatever its distribution. L is the likelihood of a geometric w: where w varies
    as that does, by m (1 + m) around a mean of m, no other loss does it with less chance. z is the logit plus the
    logarithm of the training rows' mean w, so that a model starts at the best constant.

    Scheme 3 (w = t) serves e^z, the mean of seconds. Schemes 1 and 2 serve 2^odds - 1 and 2^(odds - 1) - 1, which
    turn a mean of logarithms back and read low (Jensen), the more the wider t spreads; ``repair`` makes up what they
    lack, "learned" for every x (``lift``). Seconds are there doubly exponential in z, so served odds are
    capped like w: log(1 + seconds) moves by log(1 + seconds) dz, five times as fast as scheme 3 at 200 s.

    As a function of the served odds o the gradient is (o - w) / (o (1 + o)): steep below w, flat above.

    Raises:
        ConfigError: a cap that schemes 1 or 2 cannot have; a learned repair of rows that are repeated.
        DataError: all labels are the same.
    """

    Config = WCEConfig
    config: WCEConfig
    about = About(
        estimates="mean; schemes 1 and 2: 2^mean(log2(1 + t)) - 1",
        assumes="nothing for the mean; least chance where t varies as a geometric one, by m (1 + m)",
        bias="none in scheme 3; 1 and 2 low, by the spread of t (Jensen) and by what the cap cuts off",
        source="after Covington, Adams and Sargin, RecSys 2016; for feeds that play every video",
    )
    start: Tensor

    def __init__(self, config: WCEConfig, seconds: Numbers, duration: Numbers) -> None:
        super().__init__(config, seconds, duration)
        t, least = capped_labels(seconds, config.cap_s), float(config.scheme == 2)
        all_of_it = config.cap_s if config.scheme == 3 else math.log2(1 + config.cap_s) + least
        self.limit = all_of_it if config.scheme == 3 or not config.cap else min(config.cap, all_of_it)
        w = self._weights(t)
        if w.min() == w.max():
            raise ConfigError(
                f"cap = {config.cap:g} makes all weights of scheme {config.scheme} {w[0]:g}",
                f"more than {least:g}, such as 8, or 0 for none",
            )
        self.register_buffer("start", torch.tensor(math.log(w.mean())))
        if config.repair == "learned" and config.way == "rows":
            given = 'repair = "learned" with way = "rows"'
            raise ConfigError(given, "the seconds beside each answer, which rows made twice do not have", "take one")
        self.begin(t, duration)

    def weights(self, seconds: Tensor) -> Tensor:
        """float32[B] watched -> float32[B], w of the positive answer."""
        t = self.capped(seconds)
        if self.config.scheme == 3:
            return t
        return (torch.log1p(t) / math.log(2) + (self.config.scheme - 1)).clamp(max=self.limit)

    def own_loss(self, logits: Tensor, seconds: Tensor, duration: Tensor) -> Tensor:
        """float32[B, n_logits], float32[B] seconds -> float32[B], w sp(-z) + sp(z)."""
        z = logits[:, 0] + self.start
        return self.weights(seconds) * softplus(-z) + softplus(z)

    def examples(self, seconds: Numbers, seed: int) -> Examples | None:
        """Each row twice, as a positive of weight w and as a negative of weight 1; None for the way "loss".

        Both ways have the same expected gradient, since a batch of examples is scaled by 2 to be a sum per row; that of
        "rows" is noisier: a row's two answers pull against each other, and here mostly fall into different batches.
        """
        if self.config.way == "loss":
            return None
        w = self._weights(np.minimum(seconds.astype(np.float64), self.config.cap_s))
        weight = np.stack([w, np.ones(len(w))], axis=1).astype(np.float32)
        return Examples(np.repeat(np.arange(len(w)), 2), np.tile(np.array([1, 0], np.float32), len(w)), weight.ravel())

    def example_loss(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """float32[B, 1], float32[B] and float32[B] of ``examples`` -> float32[B], weighted cross-entropy in nats."""
        return super().example_loss(logits + self.start, label, weight)

    def low(self, logits: Tensor, duration: Tensor) -> Tensor:
        """What the odds, capped like w, turn back to: float32[B] seconds from 0."""
        odds = torch.exp((logits[:, 0] + self.start).clamp(max=math.log(self.limit)))
        if self.config.scheme == 3:
            return odds
        return torch.expm1(math.log(2) * (odds - (self.config.scheme - 1))).clamp(min=0.0)

    def _weights(self, t: Doubles) -> Doubles:
        if self.config.scheme == 3:
            return t
        w: Doubles = np.minimum(np.log2(1 + t) + (self.config.scheme - 1), self.limit)
        return w

    def turned_back(self, t: Doubles) -> float:
        """What the mean weight of t turns back to."""
        odds = float(self._weights(t).mean())
        return odds if self.config.scheme == 3 else 2.0 ** (odds - (self.config.scheme - 1)) - 1
