from __future__ import annotations

import numpy as np
import pytest

from contracts.channel import REQUEST, interactions, viewer
from feedmill.core.batches import Interactions
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.retrieval.popular import PopularChannel, PopularConfig

DAY_MS = 86_400_000


def top(log: Interactions, half_life_days: float, limit: int = 10) -> tuple[list[int], list[float]]:
    config = PopularConfig(half_life_days=half_life_days)
    channel = PopularChannel("popular", config, PopularChannel.build(log, None, config, seed=0), state=None)
    batch = channel.fetch(REQUEST, viewer(), limit)
    return batch.item.tolist(), batch.found[:, 0].tolist()


def faded() -> Interactions:
    """Item 1: three likes 14 days ago; item 2: one like now; item 3: one like of 2 a week ago."""
    days_ago = np.array([14, 14, 14, 0, 7])
    return Interactions(
        user=np.array([1, 2, 3, 4, 5], np.int32),
        item=np.array([1, 1, 1, 2, 3], np.int32),
        like=np.array([1, 1, 1, 1, 2], np.float32),
        time_ms=(100 - days_ago) * DAY_MS,
        n_users=6,
        n_items=5,
    )


def test_without_fading_it_is_the_sum_of_likes() -> None:
    assert top(faded(), 0) == ([1, 3, 2], [3, 2, 1])


def test_a_like_halves_every_half_life() -> None:
    items, scores = top(faded(), 7)
    assert items == [2, 3, 1]  # 1 and 2/2 tie: the lower row first; then 3/4
    assert scores == pytest.approx([1, 1, 0.75])


def test_very_old_items_stay_in_order_and_finite() -> None:
    log = Interactions(
        np.array([1, 2, 3], np.int32),
        np.array([1, 2, 3], np.int32),
        np.ones(3, np.float32),
        np.array([0, 400, 4000], np.int64) * DAY_MS,
        4,
        4,
    )
    items, scores = top(log, 7)
    assert items == [3, 2, 1]
    assert np.isfinite(scores).all()


def test_nothing_liked_is_not_popular() -> None:
    assert top(interactions([], 3, 3), 7) == ([], [])


def test_negative_half_life_is_refused() -> None:
    with pytest.raises(ConfigError, match="half_life_days"):
        convert({"half_life_days": -1}, PopularConfig, "retrieval.popular")
