"""What people carry with them from video to video: made empty, and made longer as people and videos come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.sim.watch import N_RECENT, NOBODY, Memory


def no_memory(n_users: int, n_videos: int, n_topics: int) -> Memory:
    """Of people who have seen nothing."""
    return Memory(
        n_views=np.zeros(n_users, np.int32),
        in_session=np.zeros(n_users, np.int32),
        topics=np.zeros((n_users, n_topics), np.float32),
        last_ms=np.zeros(n_users, np.int64),
        authors=np.full((n_users, N_RECENT), NOBODY, np.int32),
        followed=np.full((n_users, N_RECENT), NOBODY, np.int32),
        n_followed=np.zeros(n_users, np.int32),
        seen=np.zeros((n_users, (n_videos + 7) // 8), np.uint8),
        pleasure=np.zeros(n_users),
        n_today=np.zeros(n_users, np.int32),
        satisfaction=np.zeros(n_users, np.float32),
    )


def grown(memory: Memory, n_users: int, n_videos: int) -> Memory:
    """The same with room for more people (who have seen nothing) and more videos."""
    n_before, width = memory.seen.shape
    wanted = (n_videos + 7) // 8
    if wanted > width:  # half as much again, so that a year of days copies little
        wider = np.zeros((n_before, max(wanted, width + width // 2)), np.uint8)
        wider[:, :width] = memory.seen
        memory = memory._replace(seen=wider)
    if n_users == n_before:
        return memory
    new = no_memory(n_users - n_before, memory.seen.shape[1] * 8, memory.topics.shape[1])
    return Memory(*(np.concatenate([old, more]) for old, more in zip(memory, new, strict=True)))


def see(memory: Memory, user: NDArray[np.integer], item: NDArray[np.integer]) -> None:
    """From now on these n pairs count as seen."""
    np.bitwise_or.at(memory.seen, (user, item >> 3), (1 << (item & 7)).astype(np.uint8))
