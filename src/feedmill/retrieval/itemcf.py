"""ItemCF: items are alike when the same people like them (Sarwar et al. 2001; Linden et al. 2003)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Interactions, Part, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.retrieval.lists import Exponent, power, scale
from feedmill.retrieval.neighbours import NeighbourLookup
from feedmill.retrieval.similarity import similar
from feedmill.retrieval.weighed import WeighedConfig, weigh


class ItemCFConfig(WeighedConfig, frozen=True, kw_only=True):
    """Similarity and its corrections. The defaults are the plain cosine."""

    norm: Annotated[
        Literal["weighted", "count"],
        Meta(description="what the exponents apply to: the squared norm, or the number of users of an item"),
    ] = "weighted"
    item_exponent: Annotated[Exponent, Meta(description="power of the candidate's norm to divide by; cosine: 0.5")] = (
        0.5
    )
    history_exponent: Annotated[Exponent, Meta(description="the same of the item in the history; cosine: 0.5")] = 0.5
    shrinkage: Annotated[
        float, Meta(ge=0, description="similarity x n/(n+shrinkage), n the users that two items share")
    ] = 0.0


class ItemCFChannel:
    """Last-n items of the user x their top-K neighbours; similarities to every recent item are added.

        sim(a,b) = sum_{u in Wa ∩ Wb} w_u like(u,a) like(u,b) / (n(a)^x n(b)^y)
        n(a) = sum_{u in Wa} w_u like(u,a)²

    With x = y = 1/2 it is the cosine: within [0, 1], and for likes of 1 it is |Wa ∩ Wb| / sqrt(|Wa| |Wb|).
    With ``norm = "count"`` n(a) = |Wa|, which punishes popularity as it is, whoever the users are.

    Args:
        name: the channel's name.
        config: see ItemCFConfig.
        part: ``neighbours`` int32[N, K] and ``sims`` float32[N, K], best first, padded with 0; ``n_capped``
            int64[2], the interactions that the caps on items per user and on users per item left out.
        state: not needed.
    """

    Config = ItemCFConfig

    def __init__(self, name: str, config: ItemCFConfig, part: Part, state: Any) -> None:
        self.name = name
        self._lookup = NeighbourLookup(name, config, part.arrays)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: ItemCFConfig, seed: int) -> Part:
        """All top-K lists, on all cores; the result does not depend on their number.

        Raises:
            DataError: rows beyond the tables.
        """
        table, n_capped = weigh(interactions, config, seed)
        counted = config.norm == "count"
        norms = table.counts() if counted else table.norms()
        is_cosine = not counted and config.item_exponent == config.history_exponent == 0.5
        top = 1.0 if is_cosine else np.inf  # rounding must not lift a cosine above 1
        left, right = power(norms, config.history_exponent), power(norms, config.item_exponent)
        neighbours, sims = similar(table, left, right, config.shrinkage, top, config.top_k)
        if config.scale_rows:
            scale(sims)
        arrays: dict[str, NDArray[Any]] = {"neighbours": neighbours, "sims": sims, "n_capped": n_capped}
        return Part("itemcf", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit`` by added similarity; an empty answer for a user without history."""
        return self._lookup.answer(user, limit)
