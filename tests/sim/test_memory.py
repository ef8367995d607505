"""What people carry with them as the world grows."""

from __future__ import annotations

import numpy as np

from audiences import has_seen
from feedmill.sim.memory import grown, no_memory, see
from feedmill.sim.watch import NOBODY


def test_growing_keeps_what_there_was_and_newcomers_know_nothing() -> None:
    memory = no_memory(3, 20, 4)
    see(memory, np.array([0, 2, 2]), np.array([0, 7, 19]))
    memory.topics[1] = 0.5
    memory.n_views[2] = 9
    bigger = grown(memory, 5, 500)
    user, item = np.divmod(np.arange(5 * 500), 500)
    seen = has_seen(bigger, user, item).reshape(5, 500)
    assert np.argwhere(seen).tolist() == [[0, 0], [2, 7], [2, 19]]
    assert (bigger.topics[1] == 0.5).all()
    assert bigger.n_views.tolist() == [0, 0, 9, 0, 0]
    assert (bigger.authors[3:] == NOBODY).all()
    assert not bigger.topics[3:].any()


def test_nothing_new_nothing_copied() -> None:
    memory = no_memory(3, 20, 4)
    assert all(a is b for a, b in zip(memory, grown(memory, 3, 24), strict=True))


def test_a_month_of_ten_thousand_people_and_forty_thousand_videos_is_small() -> None:
    memory = grown(no_memory(10_000, 20_000, 110), 11_500, 40_000)
    assert sum(column.nbytes for column in memory) < 100e6
