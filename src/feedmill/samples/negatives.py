"""Negatives of retrieval: where they come from, and with which probability each item does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError

Doubles = NDArray[np.float64]
DRAWN = ("uniform", "popular", "log_uniform")
EASY = ("in_batch", *DRAWN)
SHOWN = ("shown", "shown_not_clicked", "not_clicked", "unclicked", "impressions", "impression", "exposed", "skipped")


class NegativesConfig(Config, frozen=True):
    """What a retrieval model is taught not to bring.

    Easy negatives stand for the catalogue, hard ones are items of the feed's own traces that pre-rank or rank dropped.
    Items that were shown and not clicked are refused: see ``check``.
    """

    sources: Annotated[
        dict[str, float],
        Meta(
            description="easy negatives per positive of the batch, by source: in_batch (1: the items of other rows),"
            " uniform, popular, log_uniform"
        ),
    ] = msgspec.field(default_factory=lambda: {"in_batch": 1.0})
    exponent: Annotated[
        float, Meta(ge=0, le=1, description="popular draws an item by its count to this power (Mikolov et al.: 3/4)")
    ] = 0.75
    hard_share: Annotated[
        float,
        Meta(ge=0, lt=1, description="share of a request's negatives, by weight, that are hard where there are any"),
    ] = 0.5
    n_hard: Annotated[int, Meta(ge=1, description="hard negatives drawn per request of a batch")] = 4
    max_hard: Annotated[int, Meta(ge=1, description="the newest hard negatives kept of each user")] = 200

    def __post_init__(self) -> None:
        for name, per_positive in self.sources.items():
            check(name)
            if not 0 <= per_positive <= 1000 or (name == "in_batch" and per_positive not in (0, 1)):
                raise ConfigError(
                    f"negatives: sources.{name} = {per_positive}",
                    "0 or 1, for a batch has one item per positive" if name == "in_batch" else "0 to 1000 per positive",
                )
        if not any(self.sources.values()):
            raise ConfigError(
                f"negatives: sources = {self.sources}",
                "at least one easy source; on hard negatives alone a model forgets the rest of the catalogue",
                "sources = { in_batch = 1 }",
            )

    @property
    def in_batch(self) -> bool:
        """Whether the items of a batch's other rows are negatives."""
        return self.sources.get("in_batch", 0) > 0

    def samplers(self, count: NDArray[Any]) -> dict[str, tuple[float, Sampler]]:
        """What is drawn besides the batch itself: source -> (draws per positive, its distribution).

        Args:
            count: [N], how often each item row is a positive.
        """
        chosen = {name: per for name, per in self.sources.items() if name in DRAWN and per > 0}
        return {name: (per, sampler(name, count, self.exponent)) for name, per in chosen.items()}


def check(source: str) -> None:
    """Refuse what is no source of retrieval negatives.

    Raises:
        ConfigError: an unknown source, or shown-but-not-clicked items.
    """
    if source in SHOWN:
        raise ConfigError(
            f'negatives: source "{source}": items that were shown and not clicked',
            "items that retrieval should not have brought. What was shown had been retrieved and ranked high for this "
            "user: next to the rest of the catalogue it is nearly right, and a model that learns to push it away "
            "brings worse candidates. Telling it from the clicked ones is the ranker's work, which learns from it",
            f"choose among {list(EASY)}, and hard_share for what pre-rank and rank dropped",
        )
    if source == "hard":
        raise ConfigError('negatives: source "hard"', f"easy sources {list(EASY)}", "set hard_share = 0.5 instead")
    if source not in EASY:
        raise ConfigError(f'negatives: no source "{source}"', f"one of {list(EASY)}", nearest(source, EASY))


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """Draws item rows with known probabilities, with replacement.

    Attributes:
        p: float64[N], sums to 1; 0 for row 0.
        cumulative: float64[N].
    """

    p: Doubles
    cumulative: Doubles

    @staticmethod
    def of(weight: Doubles) -> Sampler:
        """Probabilities proportional to float64[N] weights; row 0 is never drawn. Uniform where nothing weighs."""
        p = np.array(weight, np.float64)
        p[:1] = 0
        if not p.any():
            p[1:] = 1
        cumulative = np.cumsum(p)
        total = cumulative[-1] if len(p) > 1 else 1.0
        return Sampler(p / total, cumulative / total)

    def draw(self, random: np.random.Generator, *shape: int) -> Rows:
        """int32[shape] rows; 0 where the catalogue is empty."""
        if len(self.p) < 2:
            return np.zeros(shape, np.int32)
        at = np.searchsorted(self.cumulative, random.random(shape), "right")
        return np.asarray(np.minimum(at, len(self.p) - 1), np.int32)

    def log_q(self, item: NDArray[np.integer[Any]]) -> Floats:
        """float32: log probability of each row; of one that is never drawn, that of the rarest that is.

        (A positive may be an item that the sampler does not know; minus infinity would make its loss no number.)
        """
        least = self.p[self.p > 0].min(initial=1.0)
        return np.asarray(np.log(np.maximum(self.p[item], least)), np.float32)


def sampler(source: str, count: NDArray[Any], exponent: float = 0.75) -> Sampler:
    """The distribution of one easy source over N item rows.

    uniform: every item alike. popular: count^exponent. log_uniform: P(k) ~ log((k + 2) / (k + 1)) for the k-th most
    frequent item from 0, near 1/k, which needs no counts but their order. in_batch: count, for so the positives come.

    Args:
        count: [N], how often each item row is a positive.

    Raises:
        ConfigError: see ``check``.
    """
    check(source)
    weight = np.asarray(count, np.float64)
    if source == "uniform":
        return Sampler.of(np.ones(len(weight)))
    if source == "popular":
        return Sampler.of(np.where(weight > 0, weight, 0) ** exponent if exponent else np.ones(len(weight)))
    if source == "log_uniform":
        rank = np.empty(len(weight), np.int64)
        rank[1 + np.argsort(-weight[1:], kind="stable")] = np.arange(len(weight) - 1)
        rank[:1] = 0
        return Sampler.of(np.log1p(1 / (rank + 1)))
    return Sampler.of(weight)
