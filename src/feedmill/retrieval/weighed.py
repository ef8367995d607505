"""Likes as a table whose plain sums of products weigh users as asked."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Interactions
from feedmill.core.clock import rng
from feedmill.retrieval.lists import ListsConfig, liked, lowest, sample, take
from feedmill.retrieval.table import Table


class WeighedConfig(ListsConfig, frozen=True, kw_only=True):
    """How much a user says of the items that it likes."""

    iuf: Annotated[bool, Meta(description="weigh a user of n items 1/log(1+n), in sums and norms alike")] = False
    user_exponent: Annotated[
        float, Meta(ge=0, le=2, description="weigh a user of n items n^-x, in sums and norms alike")
    ] = 0.0


def weigh(interactions: Interactions, config: WeighedConfig, seed: int) -> tuple[Table, NDArray[np.int64]]:
    """Capped interactions as a table of like sqrt(w_u), so that sums and norms are plain sums of products.

    Returns:
        The table, and int64[2], how many interactions each cap left out (items per user, users per item).
    """
    log = liked(interactions)
    activity = np.maximum(np.bincount(log.user, minlength=log.n_users), 1)
    draw = rng(seed, "itemcf", "cap")
    kept = take(log, sample(log.user, config.max_items_per_user, draw))
    # One number per user, not per interaction: popular items keep the same people and still overlap.
    of_user = draw.random(log.n_users)
    few = take(kept, lowest(kept.item, config.max_users_per_item, of_user[kept.user]))
    n_capped = np.array([len(log) - len(kept), len(kept) - len(few)], np.int64)
    weight = activity**-config.user_exponent / (np.log1p(activity) if config.iuf else 1)
    # Products must neither underflow (the kernel takes a sum of 0 for "not met yet") nor overflow.
    values = np.clip(few.like * np.sqrt(weight).astype(np.float32)[few.user], 1e-6, 1e6)
    return Table.of(few.user, few.item, values, log.n_users, log.n_items), n_capped
