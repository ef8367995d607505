"""What every retrieval channel must do.

``make`` learns a channel from interactions and gives its part with a way to open it, so that the suite can
store the part and open it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.batches import LANE_ROW, LANES, CandidateBatch, Interactions, Part, UserColumns
from feedmill.core.clock import rng
from feedmill.core.protocols import Channel
from feedmill.core.request import FeedRequest

HISTORY_LEN = 12
REQUEST = FeedRequest(request_id="r", user_id="u1", time_ms=10_000)


class Made(NamedTuple):
    part: Part
    open: Callable[[Part], Channel]


Make = Callable[[Interactions], Made]


def interactions(pairs: Sequence[tuple[int, int]], n_users: int, n_items: int) -> Interactions:
    """Likes of 1, a second apart."""
    user, item = np.array(sorted(set(pairs)), np.int32).reshape(-1, 2).T
    like, time_ms = np.ones(len(user), np.float32), np.arange(len(user), dtype=np.int64) * 1000
    return Interactions(user.copy(), item.copy(), like, time_ms, n_users, n_items)


def viewer(row: int = 0, profile: Sequence[int] = (), **lanes: Sequence[int]) -> UserColumns:
    """A user with the given codes of attributes and histories, newest first; by default somebody the log has never
    seen."""
    history = np.zeros((1, len(LANES), HISTORY_LEN), np.int32)
    for lane, items in lanes.items():
        history[0, LANE_ROW[lane], : len(items)] = items
    none = np.zeros((1, 0), np.float32)
    time_ms = np.array([REQUEST.time_ms], np.int64)
    times = np.where(history > 0, time_ms[0] - 1, 0)
    newest, liked = times.max(axis=(1, 2)), np.zeros((1, 8), np.int32)
    profiles = np.array([profile], np.int32)
    return UserColumns(np.array([row], np.int32), time_ms, history, times, none, profiles, newest * 0, newest, liked)


def crowd(n_users: int = 30, n_items: int = 40) -> Interactions:
    draw = rng(7, "crowd")
    pairs = zip(draw.integers(1, n_users, 300).tolist(), draw.integers(1, n_items, 300).tolist(), strict=True)
    return interactions(list(pairs), n_users, n_items)


REGULAR = viewer(
    3, profile=[1, 1, 1], clicked=[5, 9, 2, 5], liked=[9, 5], shown=[1, 2, 5, 9], followed=[9, 5], searched=[1]
)


def answer(made: Made, user: UserColumns, limit: int, n_items: int) -> CandidateBatch:
    """An answer, checked against all that is always promised."""
    channel = made.open(made.part)
    batch = channel.fetch(REQUEST, user, limit)
    assert len(batch) <= limit
    assert batch.item.dtype == np.int32
    assert batch.found.dtype == np.float32
    assert batch.channels == (channel.name,)
    assert batch.found.shape == (len(batch), 1)
    assert len(np.unique(batch.item)) == len(batch), "an item came twice"
    assert ((batch.item > 0) & (batch.item < n_items)).all(), "row 0 is nothing, rows end with the catalogue"
    assert np.isfinite(batch.found).all()
    assert (np.diff(batch.found[:, 0]) <= 0).all(), "best first"
    ties = np.flatnonzero(np.diff(batch.found[:, 0]) == 0)
    assert (batch.item[ties] < batch.item[ties + 1]).all(), "equal ones by row"
    return batch


def check_regular_user_is_answered(make: Make) -> None:
    assert len(answer(make(crowd()), REGULAR, 10, 40)) == 10


def check_limits(make: Make) -> None:
    made = make(crowd())
    everything = answer(made, REGULAR, 1_000, 40)
    assert len(answer(made, REGULAR, 0, 40)) == 0
    for limit in (1, 7, len(everything)):
        part = answer(made, REGULAR, limit, 40)
        np.testing.assert_array_equal(part.item, everything.item[:limit])


def check_unknown_user_is_answered(make: Make) -> None:
    answer(make(crowd()), viewer(), 10, 40)


def check_users_and_items_newer_than_the_part(make: Make) -> None:
    answer(make(crowd()), viewer(999, clicked=[777, 5], liked=[2**31 - 1]), 10, 40)


def check_empty_log(make: Make) -> None:
    made = make(interactions([], 1, 1))
    assert len(answer(made, viewer(), 10, 1)) == 0
    assert len(answer(made, REGULAR, 10, 1)) == 0


def check_catalogue_without_a_click(make: Make) -> None:
    made = make(interactions([], 3, 6))
    answer(made, viewer(), 10, 6)
    answer(made, REGULAR, 10, 6)


def check_one_user_one_item(make: Make) -> None:
    made = make(interactions([(1, 1)], 2, 2))
    assert set(answer(made, viewer(), 10, 2).item.tolist()) <= {1}
    assert set(answer(made, viewer(1, clicked=[1], liked=[1]), 10, 2).item.tolist()) <= {1}


def check_one_user_many_items(make: Make) -> None:
    answer(make(interactions([(1, i) for i in range(1, 9)], 2, 9)), viewer(1, clicked=[1, 2, 3]), 10, 9)


def check_nobody_and_nothing_teach_nothing(make: Make) -> None:
    made = make(interactions([(0, 1), (1, 0), (2, 2), (2, 3), (3, 2), (3, 3)], 4, 4))
    answer(made, viewer(2, clicked=[2]), 10, 4)


def check_likes_of_zero(make: Make) -> None:
    some = crowd()
    like = some.like.copy()
    like[::2] = 0
    answer(make(replace(some, like=like)), REGULAR, 20, 40)


def check_same_answer_twice(make: Make) -> None:
    made = make(crowd())
    first, again = answer(made, REGULAR, 20, 40), answer(made, REGULAR, 20, 40)
    np.testing.assert_array_equal(first.item, again.item)
    np.testing.assert_array_equal(first.found, again.found)
    rebuilt = make(crowd())
    for name, array in made.part.arrays.items():
        np.testing.assert_array_equal(array, rebuilt.part.arrays[name], err_msg=name)


def check_part_round_trip(make: Make, folder: Path) -> None:
    made = make(crowd())
    arrays = {}
    for name, array in made.part.arrays.items():
        np.save(folder / f"{name}.npy", array)
        arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    stored = made._replace(part=Part(made.part.kind, made.part.config, arrays, made.part.blobs))
    for user in (REGULAR, viewer()):
        fresh, loaded = answer(made, user, 20, 40), answer(stored, user, 20, 40)
        np.testing.assert_array_equal(fresh.item, loaded.item)
        np.testing.assert_array_equal(fresh.found, loaded.found)


def check_any_log(make: Make) -> None:
    pair = st.tuples(st.integers(1, 5), st.integers(1, 7))

    @settings(max_examples=20)
    @given(st.lists(pair, max_size=30), st.lists(st.integers(1, 9), max_size=HISTORY_LEN), st.integers(0, 12))
    def run(pairs: list[tuple[int, int]], clicked: list[int], limit: int) -> None:
        answer(make(interactions(pairs, 6, 8)), viewer(1, clicked=clicked), limit, 8)

    run()
