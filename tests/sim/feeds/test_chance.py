"""Chance is fair to videos."""

from __future__ import annotations

import numpy as np

from audiences import small_world
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.figures_videos import diversity
from feedmill.sim.live import live


def test_all_videos_are_looked_at_about_as_often() -> None:
    world = small_world(n_videos=1000, video_days=0, new_users=0)
    diary = live(world, ChanceFeed(ChanceConfig(), 1), 5)
    views = np.bincount(diary.videos.item, diary.videos.views, 1000)
    assert views.var() < 1.3 * views.mean(), "no more than by chance"
    assert diversity(diary, world.videos.topics, world.videos.author, 1).coverage > 0.98


def test_nobody_sees_a_video_twice_while_there_are_others() -> None:
    diary = live(small_world(n_videos=3000), ChanceFeed(ChanceConfig(), 1), 3)
    assert diary.views is not None
    pairs = np.stack([diary.views.user, diary.views.item])
    assert np.unique(pairs, axis=1).shape == pairs.shape
