"""The loss of a retrieval model, by config."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from torch import Tensor

from feedmill.core.config import Config
from feedmill.models.losses.pointwise import pointwise
from feedmill.models.losses.sampled_softmax import sampled_softmax
from feedmill.models.losses.triplet import triplet_hinge, triplet_logistic


class RetrievalLossConfig(Config, frozen=True):
    """Which loss, with what only that loss has; the temperature belongs to the model."""

    loss: Annotated[
        Literal["sampled_softmax", "pointwise", "triplet_hinge", "triplet_logistic", "hierarchical_softmax"],
        Meta(description="listwise (sampled, or over a Huffman tree of all items), pointwise or pairwise objective"),
    ] = "sampled_softmax"
    correction: Annotated[
        Literal["subtract", "none"],
        Meta(description="sampled_softmax: subtract log q of the negatives' sampler; none overcorrects popularity"),
    ] = "subtract"
    n_per_positive: Annotated[
        float, Meta(gt=0, description="pointwise: negatives weigh this many times a positive; practice 2 or 3")
    ] = 3.0
    margin: Annotated[float, Meta(ge=0, description="triplet_hinge: the positive leads by this much similarity")] = 0.2
    sigma: Annotated[float, Meta(gt=0, description="triplet_logistic: steepness per unit of similarity")] = 10.0


def retrieval_loss(
    config: RetrievalLossConfig,
    positive: Tensor,
    negative: Tensor,
    keep: Tensor | None,
    reward: Tensor | None = None,
    *,
    of: Tensor | None = None,
    temperature: float,
    log_q_positive: Tensor | None = None,
    log_q_negative: Tensor | None = None,
) -> Tensor:
    """The configured loss; shapes as in ``losses.reduce``. Only the sampled softmax reads log q, see there.

    Raises:
        ValueError: the hierarchical softmax, which has no negatives: it is a module, ``HierarchicalSoftmax``.
    """
    if config.loss == "hierarchical_softmax":
        raise ValueError("hierarchical_softmax has no negatives; use models.losses.HierarchicalSoftmax")
    x = (positive, negative, keep, reward)
    if config.loss == "pointwise":
        return pointwise(*x, of=of, temperature=temperature, n_per_positive=config.n_per_positive)
    if config.loss == "triplet_hinge":
        return triplet_hinge(*x, of=of, margin=config.margin)
    if config.loss == "triplet_logistic":
        return triplet_logistic(*x, of=of, sigma=config.sigma)
    return sampled_softmax(
        *x,
        of=of,
        temperature=temperature,
        log_q_positive=log_q_positive,
        log_q_negative=log_q_negative,
    )
