"""Buckets are even, layers know nothing of each other, and nobody ever moves."""

from __future__ import annotations

from hashlib import blake2b
from itertools import combinations
from timeit import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from experiments.life import Life
from feedmill.core.errors import DataError
from feedmill.experiments.assignment import Hashes, bucket, buckets, hashes, user_hash

N_USERS = 1_000_000
ALPHA = 1e-3  # ids and salts are fixed: a test that passes once passes for ever


@pytest.fixture(scope="module")
def users() -> Hashes:
    """Ids as shops give them: counted."""
    return hashes(range(N_USERS))


def reference(user_id: str, salt: str, n: int) -> int:
    """The same in other words: the published finalizer of splitmix64, and a product of 128 bits."""
    z = int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest(), "little")
    z ^= int.from_bytes(blake2b(salt.encode(), digest_size=8, person=b"feedmill salt").digest(), "little")
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ z >> shift) * factor % 2**64
    return (z ^ z >> 31) * n // 2**64


def test_nobody_ever_moves() -> None:
    """These numbers stand for every user of every running experiment: a change of one reshuffles them all."""
    ids = ["7", "guest", "用户", "a" * 200, "-1"]
    assert [user_hash(i) for i in ids] == GOLDEN_HASHES
    assert [bucket(user_hash(i), "rerank", 1000) for i in ids] == GOLDEN_RERANK
    assert buckets(hashes(ids), "holdout.1", 100_000).tolist() == GOLDEN_HOLDOUT


GOLDEN_HASHES = [
    9407870976149377255,
    17322562222195142985,
    6840071560815213383,
    8233974242987084468,
    16573399945805584159,
]
GOLDEN_RERANK = [426, 938, 699, 553, 158]
GOLDEN_HOLDOUT = [25643, 93470, 98551, 88154, 67189]


@given(st.lists(st.text(min_size=1), max_size=20), st.text(), st.integers(1, 100_000))
def test_one_at_a_time_and_all_at_once_agree(ids: list[str], salt: str, n: int) -> None:
    ids = [i for i in ids if i.isprintable()]
    salt = salt if salt.isprintable() else "s"
    one = [bucket(user_hash(i), salt, n) for i in ids]
    assert buckets(hashes(ids), salt, n).tolist() == one == [reference(i, salt, n) for i in ids]
    assert all(0 <= b < n for b in one)


@pytest.mark.parametrize("n", [2, 3, 1000, 100_000])
def test_a_million_users_are_spread_evenly(users: Hashes, n: int) -> None:
    counts = np.bincount(buckets(users, "rerank", n), minlength=n)
    statistic = ((counts - N_USERS / n) ** 2).sum() / (N_USERS / n)
    assert ALPHA < chi2.sf(statistic, n - 1) < 1 - ALPHA  # not too even either


def test_twenty_layers_are_independent_in_pairs(users: Hashes) -> None:
    groups = [buckets(users, f"layer {i}", 1000) // 50 for i in range(20)]
    p = {(i, j): independence(groups[i], groups[j]) for i, j in combinations(range(20), 2)}
    assert len(p) == 190
    assert min(p.values()) > ALPHA / len(p)
    assert 0.3 < np.mean(list(p.values())) < 0.7


def test_the_test_of_independence_finds_a_layer_with_another_ones_salt(users: Hashes) -> None:
    one, other = buckets(users, "a", 1000) // 50, buckets(users, "a", 997) // 50
    assert independence(one, other) < 1e-12


def independence(one: np.ndarray, other: np.ndarray) -> float:
    table = np.bincount(one.astype(np.int64) * 20 + other, minlength=400).reshape(20, 20)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    return float(chi2.sf(((table - expected) ** 2 / expected).sum(), 19 * 19))


def test_the_top_of_a_layer_says_nothing_of_a_user_s_bucket_in_a_finer_one(users: Hashes) -> None:
    """Holdout, reverse buckets and layers differ in their number of buckets, too."""
    one, other = buckets(users, "rerank", 1000) // 50, buckets(users, "holdout.1", 10_000) // 500
    assert independence(one, other) > ALPHA


def test_a_user_is_the_same_as_text_and_as_a_whole_number() -> None:
    assert user_hash(7) == user_hash("7") == user_hash(np.int64(7))
    columns: list[Any] = [[7, "8"], np.array([7, 8]), np.array(["7", "8"]), np.array(["7", 8], object)]
    columns += [pa.array([7, 8]), pa.array(["7", "8"])]
    for ids in columns:
        assert hashes(ids).tolist() == [user_hash("7"), user_hash("8")]
    assert len(hashes([])) == 0
    assert user_hash("\ud800") != user_hash("\ud801")  # halves of a character: odd, but text


@pytest.mark.parametrize("bad", [None, 7.0, float("nan"), True, False, b"7", ["7"], {"id": 7}, (), "", np.bool_(True)])
def test_any_other_id_is_refused_with_its_type(bad: object) -> None:
    for ask in (user_hash, lambda i: hashes([i]), Life().plan.assign):
        with pytest.raises(DataError, match="user_id = ") as caught:
            ask(bad)
        assert "whole number" in str(caught.value)
    assert bad == "" or type(bad).__name__ in str(caught.value)


def test_ten_layers_cost_a_request_next_to_nothing() -> None:
    """The contract is 20 µs; a busy machine may take its time, so the best of many rounds counts."""
    life = Life(holdout=0.1, layers={f"l{i}": {} for i in range(10)})
    for i in range(10):
        life.run(f"e{i}", layer=f"l{i}", share=0.5, path=f"rerank.rules.{i}.theta")
    assert len(life.plan.assign("somebody").arms) == 11
    assert min(repeat(lambda: life.plan.assign("somebody"), number=200, repeat=50)) / 200 < 20e-6
