"""The audience against the real figures, at the exposure at which they are taken to hold; tolerances stand here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feedmill.sim.config import WorldConfig
from feedmill.sim.day import HOURS, SHOWN_A_DAY
from feedmill.sim.live import live
from feedmill.sim.views import NOTHING, Asks
from feedmill.sim.watch_reference import (
    SEGMM,
    SEGMM_MEAN_S,
    SEGMM_QUANTILES_S,
    ReferenceFeed,
    by_fifth,
    reference_views,
)  # fmt: skip
from feedmill.sim.world import World


@pytest.mark.parametrize("seed", [1, 2])
def test_seconds_watched_are_like_those_of_segmm(seed: int) -> None:
    world = World.make(WorldConfig(n_users=2000, n_videos=10_000), seed)
    duration_s, seconds = reference_views(world, seed, 100_000)
    assert seconds.mean() == pytest.approx(SEGMM_MEAN_S, rel=0.06)
    for share, figure_s in SEGMM_QUANTILES_S.items():
        assert np.quantile(seconds, share) == pytest.approx(figure_s, rel=0.08)
    for simulated, figure in zip(by_fifth(duration_s, seconds), SEGMM, strict=True):
        assert simulated.mean_s == pytest.approx(figure.mean_s, rel=0.08)
        assert simulated.median_s == pytest.approx(figure.median_s, rel=0.2)
        assert simulated.to_the_end == pytest.approx(figure.to_the_end, abs=0.03)
        assert simulated.within_3_s == pytest.approx(figure.within_3_s, abs=0.03)
        assert simulated.over_1_5_times == pytest.approx(figure.over_1_5_times, abs=0.03)


def test_the_figures_are_those_of_the_data(shared_data: Path) -> None:
    path = shared_data / "segmm_sample" / "SegMM_inter_sample.csv"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the folder of real data")
    frame = pl.read_csv(path)
    duration_s, seconds = (frame[name].to_numpy() / 1000 for name in ("duration_ms", "playing_time"))
    assert seconds.mean() == pytest.approx(SEGMM_MEAN_S, abs=0.1)
    for real, figure in zip(by_fifth(duration_s, seconds), SEGMM, strict=True):
        np.testing.assert_allclose(real[:2], figure[:2], rtol=0.04)
        np.testing.assert_allclose(real[2:], figure[2:], atol=0.02)


def test_a_day_at_full_scale_is_like_a_real_one() -> None:
    world = World.make(WorldConfig(n_users=500, n_videos=4000, views_per_day=SHOWN_A_DAY), 11)
    people = live(world, ReferenceFeed(world, 3), 1, keep=False).people
    assert people.sessions.mean() == pytest.approx(9.5, rel=0.1)
    assert np.median(people.sessions) == pytest.approx(9, abs=1)
    assert people.views.mean() == pytest.approx(425, rel=0.18)
    assert np.median(people.views) == pytest.approx(306, rel=0.18)


def test_activity_is_scaled_and_the_day_has_its_shape() -> None:
    world = World.make(WorldConfig(n_users=6000, n_videos=4000), 12)
    diary = live(world, ReferenceFeed(world, 3), 2)
    assert diary.people.views.mean() == pytest.approx(30, rel=0.1)
    assert diary.views is not None
    hour = diary.views.time_s // 3600 % 24
    share = np.bincount(hour, diary.views.seconds, 24) / diary.views.seconds.sum()
    np.testing.assert_allclose(share, np.array(HOURS) / sum(HOURS), atol=0.008)


def test_neither_glad_nor_sorry_at_the_reference() -> None:
    world = World.make(WorldConfig(n_users=1500, n_videos=4000), 13)
    live(world, ReferenceFeed(world, 3), 3, keep=False)
    assert abs(world.memory.satisfaction.mean()) < 0.1


def test_where_nothing_is_on_nothing_is_shown() -> None:
    world = World.make(WorldConfig(n_users=3, n_videos=2), 1)
    world.videos.is_on[:] = False
    asks = Asks(np.array([1], np.int32), np.array([world.now_ms]), np.zeros(1, np.int32))
    assert (ReferenceFeed(world, 3).slates(asks).item == NOTHING).all()
