"""What is odd about a log must not trouble any channel of stored lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.channel import REQUEST, crowd, interactions, viewer
from feedmill.core.batches import Interactions
from feedmill.core.errors import DataError
from feedmill.retrieval.itemcf import ItemCFChannel
from feedmill.retrieval.lists import liked, lowest, sample, scale, take
from feedmill.retrieval.swing import SwingChannel
from feedmill.retrieval.usercf import UserCFChannel

CHANNELS = [ItemCFChannel, SwingChannel, UserCFChannel]


def opened(channel: Any, log: Interactions, **parameters: Any) -> Any:
    config = channel.Config(**parameters)
    return channel("x", config, channel.build(log, None, config, 0), None)


KEYS = st.lists(st.integers(0, 6), max_size=60)


@given(KEYS, st.integers(0, 5))
def test_the_lowest_of_each_key_are_kept(keys: list[int], most: int) -> None:
    key, order = np.array(keys, np.int32), np.random.default_rng(len(keys)).random(len(keys))
    keep = lowest(key, most, order)
    for k in set(keys):
        mine = np.flatnonzero(key == k)
        expected = mine if most == 0 else mine[np.argsort(order[mine])][:most]
        assert set(mine[keep[mine]]) == set(expected)


@given(KEYS, st.integers(0, 5))
def test_of_each_key_as_many_are_sampled_as_wanted(keys: list[int], most: int) -> None:
    key = np.array(keys, np.int32)
    keep = sample(key, most, np.random.default_rng(1))
    counts = np.bincount(key, minlength=7)
    np.testing.assert_array_equal(np.bincount(key[keep], minlength=7), np.minimum(counts, most) if most else counts)


def test_every_entry_is_sampled_as_often_as_another() -> None:
    key = np.repeat(np.array([0, 1], np.int32), [10, 4])
    draw = np.random.default_rng(2)
    shares = np.mean([sample(key, 3, draw) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(shares, np.repeat([0.3, 0.75], [10, 4]), atol=0.03)


def test_a_log_with_nothing_to_leave_out_is_not_copied() -> None:
    log = crowd()
    assert take(log, np.ones(len(log), bool)) is log
    assert liked(log) is log
    assert len(liked(replace(log, like=np.zeros(len(log), np.float32)))) == 0


def test_rows_without_a_sum_are_not_scaled() -> None:
    sims = np.array([[1, 3], [0, 0]], np.float32)
    scale(sims)
    assert sims.tolist() == [[0.25, 0.75], [0, 0]]


@pytest.mark.parametrize("channel", CHANNELS)
def test_rows_beyond_the_tables_are_refused(channel: Any) -> None:
    with pytest.raises(DataError, match="user rows 1 to 29"):
        channel.build(replace(crowd(), n_users=5), None, channel.Config(), 0)
    low = crowd().item.copy()
    low[3] = -1
    with pytest.raises(DataError, match="item rows -1 to 39"):
        channel.build(replace(crowd(), item=low), None, channel.Config(), 0)


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_history_no_answer(channel: Any) -> None:
    assert len(opened(channel, crowd()).fetch(REQUEST, viewer(), 10)) == 0


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("pairs", [[(1, 1)], [(1, i) for i in range(1, 9)], [(u, 1) for u in range(1, 9)]])
def test_one_user_or_one_item(channel: Any, pairs: list[tuple[int, int]]) -> None:
    of = opened(channel, interactions(pairs, 9, 9))
    for user in (viewer(1, clicked=[1]), viewer(8, clicked=[1, 2, 3]), viewer(77, clicked=[88])):
        assert np.isfinite(of.fetch(REQUEST, user, 10).found).all()


@pytest.mark.parametrize("channel", CHANNELS)
def test_all_users_alike(channel: Any) -> None:
    """20 users who like the same 10 items: all similarities are equal, and the lower rows come first."""
    of = opened(channel, interactions([(u, i) for u in range(1, 21) for i in range(1, 11)], 21, 11), top_k=3)
    batch = of.fetch(REQUEST, viewer(5, clicked=[9]), 3)
    assert batch.item.tolist() == [1, 2, 3]
    assert len(set(batch.found[:, 0].tolist())) == 1


@pytest.mark.parametrize("channel", CHANNELS)
def test_longer_lists_than_the_catalogue(channel: Any) -> None:
    log = crowd()
    found = opened(channel, log, top_k=10_000).fetch(REQUEST, viewer(3, clicked=[5, 9]), 10_000)
    assert 0 < len(found) < log.n_items


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_item_that_a_million_people_like(channel: Any) -> None:
    """Each also likes one of 1000 others. Without a cap Swing and UserCF would go through 5 10^11 pairs of users."""
    n = 1_000_000
    user = np.repeat(np.arange(1, n + 1, dtype=np.int32), 2)
    item = np.column_stack([np.ones(n), 2 + np.arange(n) % 1000]).ravel().astype(np.int32)
    log = Interactions(user, item, np.ones(2 * n, np.float32), np.zeros(2 * n, np.int64), n + 1, 1002)
    parameters = {"max_users_per_item": 50} if channel is UserCFChannel else {}
    part = channel.build(log, None, channel.Config(top_k=3, **parameters), 0)
    assert (part.arrays["n_capped"][1] > 0) == (channel is not ItemCFChannel)
    of = channel("x", channel.Config(top_k=3, **parameters), part, None)
    assert np.isfinite(of.fetch(REQUEST, viewer(0, clicked=[1, 7]), 5).found).all()
