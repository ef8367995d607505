"""A generated log whose E[t | x] is known: who watches is one of a few types, what is watched is of a few types.

A row's seconds are a draw of one of four stories, whose chances depend on both types. Left at once: exponential with a
mean of 1.5 s. Watched to the end: the item's length, give or take 3 %. Replayed: the length once and then exponentially
more, on average twice in all. Left on the way: exponential, so that some stay beyond the end. Chances by length are
like those of real short videos (short ones are finished and replayed, long ones left), moved by the user's type.
Nothing but the types is worth knowing, so that any trunk can reach the truth, and what is off is the head's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.watch_time.task import Split, Task, split_hash, watched
from feedmill.core.clock import rng
from feedmill.features import FeatureBatch, FeatureSpec, Field, Numeric

Numbers = NDArray[np.float64]
Types = NDArray[Any]  # of integers

NAME, CLICKS = "known", "clicks"  # the tasks: every video is played, or the few that are clicked
N_USERS, N_ROWS, N_QUICK = 400, 50_000, 12_000
DURATION_S = np.array([6.0, 8.0, 11.0, 15.0, 21.0, 30.0, 44.0, 66.0, 100.0, 160.0])
LEFT_S, SPREAD, REPLAYED = 1.5, 0.03, 2.0  # mean of skips; of a full length; lengths watched by those who replay
# By length, from the shortest to the longest: chances of being left at once, finished, replayed.
LEFT = np.linspace(0.18, 0.30, len(DURATION_S))
FINISHED = np.linspace(0.36, 0.10, len(DURATION_S))
REPLAY = np.linspace(0.22, 0.01, len(DURATION_S))
ON_THE_WAY_S = 3.0 + 0.22 * DURATION_S  # mean of those who leave on the way
PATIENCE = np.array([-1.5, -0.6, 0.0, 0.6, 1.5])  # of each type of user, in logits against leaving at once
CLICKED = np.array([0.02, 0.05, 0.1, 0.2, 0.4])  # of each type of user, in ``clicks``
GOLDEN = (5**0.5 - 1) / 2
SPEC = FeatureSpec(
    fields=(Field("type", "user", "user.type", "user_type"), Field("length", "item", "item.type", "item_type")),
    numerics=(Numeric("user.patience", "user"), Numeric("item.duration_s", "item")),
    tables={"user_type": len(PATIENCE), "item_type": len(DURATION_S)},
    n_quantiles=64,
    prior_count=20.0,
    state_hash="",
)


def chances() -> Numbers:
    """float64[user types, item types, stories]: left at once, finished, replayed, left on the way."""
    odds = np.stack([LEFT, FINISHED, REPLAY, 1 - LEFT - FINISHED - REPLAY], axis=-1)[None]
    moved = odds * np.exp(-PATIENCE[:, None, None] * np.array([1.0, -0.5, -0.7, 0.0]))
    out: Numbers = moved / moved.sum(axis=-1, keepdims=True)
    return out


def means() -> Numbers:
    """float64[user types, item types] E[t | x] in seconds."""
    d = DURATION_S
    stories = np.stack([np.full_like(d, LEFT_S), d, REPLAYED * d, ON_THE_WAY_S], axis=-1)
    out: Numbers = (chances() * stories[None]).sum(axis=-1)
    return out


def drawn(user_type: Types, item_type: Types, seed: int, purpose: str) -> Numbers:
    """float64[n] seconds watched, a draw for each row.

    Rows of the same types are spread evenly over the stories and over their lengths (a Kronecker lattice), in random
    order: so that sums over thousands of rows are as good as their expectations, and 1 % is no chance.
    """
    random, n, d = rng(seed, NAME, purpose), len(user_type), DURATION_S[item_type]
    cell = user_type * len(DURATION_S) + item_type
    order = np.lexsort((random.random(n), cell))
    n_rows = np.bincount(cell, minlength=len(PATIENCE) * len(DURATION_S))
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    spread = (rank + random.random(n)) / n_rows[cell]
    story = (spread[:, None] > np.cumsum(chances()[user_type, item_type], axis=-1)[:, :-1]).sum(axis=-1)
    within = (rank * GOLDEN + random.random(len(n_rows))[cell]) % 1
    scale = -np.log1p(-within)
    seconds = np.stack(
        [
            LEFT_S * scale,
            d * (1 + SPREAD * (2 * within - 1)),
            d * (1 + (REPLAYED - 1) * scale),
            ON_THE_WAY_S[item_type] * scale,
        ],
        axis=-1,
    )
    out: Numbers = seconds[np.arange(n), story]
    return out


def known(quick: bool, seed: int = 0) -> Task:
    """Every video is played: 80 % of the rows to learn from, 10 % each to choose by and to judge on, drawn apart."""
    return _task(NAME, quick, seed, np.ones(len(PATIENCE)))


def clicks(quick: bool, seed: int = 0) -> Task:
    """The same where videos are clicked first, by type of user with a chance of ``CLICKED``: most rows are 0 s."""
    return _task(CLICKS, quick, seed, CLICKED)


def _task(name: str, quick: bool, seed: int, clicked: Numbers) -> Task:
    n = N_QUICK if quick else N_ROWS
    train, validation, test = (
        _split(int(share * n), seed, part, clicked)
        for part, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    )
    how = f"{split_hash(train, validation, test)}, 80/10/10 of {n:,} drawn rows"
    return Task(name, how, SPEC, train, validation, test)


def _split(n: int, seed: int, part: str, clicked: Numbers) -> Split:
    random, offset = rng(seed, NAME, part), SPEC.offsets()
    user, item = random.integers(0, N_USERS, n), random.integers(0, len(DURATION_S), n)
    of_user = user % len(PATIENCE)
    seconds = drawn(of_user, item, seed, f"{part}, seconds").astype(np.float32)
    seconds *= random.random(n) < clicked[of_user]
    row = user.astype(np.int32) + 1
    samples = watched(row, item.astype(np.int32) + 1, np.arange(n), seconds)
    batch = FeatureBatch(
        (of_user + 1 + offset["user_type"]).astype(np.int32)[:, None],
        _powers(of_user / (len(PATIENCE) - 1)),
        (item + 1 + offset["item_type"]).astype(np.int32)[:, None],
        _powers(item / (len(DURATION_S) - 1)),
        np.arange(n),
    )
    return Split(batch, samples, DURATION_S[item].astype(np.float32), row, clicked[of_user] * means()[of_user, item])


def _powers(x: Numbers) -> NDArray[np.float32]:
    """float32[n, 3]: x, x², sqrt(x), as ``features`` lays them out."""
    return np.stack([x, x * x, np.sqrt(x)], axis=-1).astype(np.float32)


def cells(n_draws: int = 300, seed: int = 0) -> tuple[Numbers, Numbers]:
    """(float64[G, k] draws of every pair of types, float64[G] seconds its item lasts)."""
    of_user, item = (np.repeat(x.ravel(), n_draws) for x in np.indices((len(PATIENCE), len(DURATION_S))))
    return drawn(of_user, item, seed, "cells").reshape(-1, n_draws), DURATION_S[item[::n_draws]]
