"""Logs whose size can be chosen and whose shape is known, to measure the counting channels on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.clock import rng

PER_USER, PER_ITEM, TOPICS, TASTES = 40, 125, 200, 3


def power_law(n: int, seed: int = 0) -> tuple[Rows, Rows]:
    """Up to n interactions of n/40 users with n/125 items: users int32[n] ascending, items int32[n], rows from 1; fewer
    below a million, where more of what is drawn is the same pair.

    Users are lognormal in activity (sigma 1, 2 to 1000 items), items a power law in popularity ((rank + 10)^-0.9).
    Half of what a user likes is drawn from everything, half from one of their 3 topics of 200, by the same law: so
    that items share more users than chance would have it, as in real logs.
    """
    draw = rng(seed, "bench", "kernels")
    n_users, n_items = max(n // PER_USER, 2), max(n // PER_ITEM, TOPICS)
    activity = np.clip(draw.lognormal(np.log(PER_USER) - 0.5, 1.0, n_users), 2, 1000)
    user = np.repeat(np.arange(n_users), (1.6 * activity).astype(np.int64))
    law = np.cumsum((np.arange(n_items) + 10.0) ** -0.9)
    item = np.searchsorted(law / law[-1], draw.random(len(user)))
    tastes = draw.integers(0, TOPICS, (n_users, TASTES))
    topic = tastes[user, draw.integers(0, TASTES, len(user))]
    item = np.where(draw.random(len(user)) < 0.5, np.minimum(item // TOPICS * TOPICS + topic, n_items - 1), item)
    pair = np.unique(user * n_items + draw.permutation(n_items)[item])
    if len(pair) > n:
        pair = np.sort(draw.choice(pair, n, replace=False))
    return (pair // n_items + 1).astype(np.int32), (pair % n_items + 1).astype(np.int32)


def store(folder: Path, user: NDArray[np.int32], item: NDArray[np.int32]) -> None:
    """The columns as files of a folder, with the pointers of a sparse matrix of users x items."""
    folder.mkdir(parents=True, exist_ok=True)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(user))])
    for name, array in (("user", user), ("item", item), ("ptr", ptr.astype(np.int32))):
        np.save(folder / f"{name}.npy", array)
