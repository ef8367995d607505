"""What every feed of a simulated audience must do. ``make`` gives a new feed for a world that nobody has lived in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audiences import small_world
from feedmill.sim.config import DAY_MS, HabitConfig
from feedmill.sim.diary import Diary
from feedmill.sim.feed import Feed
from feedmill.sim.figures import by_day
from feedmill.sim.live import live
from feedmill.sim.views import NOTHING, Asks, Slates
from feedmill.sim.world import World

SLOTS = 10
Make = Callable[[World], Feed]


def promised(world: World, asks: Asks, slates: Slates) -> None:
    """What always holds of slates."""
    item = slates.item
    assert item.dtype == np.int32
    assert item.ndim == 2
    assert len(item) == len(asks)
    assert item.shape[1] <= SLOTS, "more than asked for"
    assert len(slates.request_id) in (0, len(asks))
    for row in item.tolist():
        shown = [i for i in row if i != NOTHING]
        assert row[: len(shown)] == shown, "nothing stands at the end"
        assert len(set(shown)) == len(shown), "a video came twice"
        assert all(0 <= i < len(world.videos) for i in shown), "only what was described"
        assert world.videos.is_on[shown].all(), "what was taken down is gone"


def lived(make: Make, world: World, n_days: int) -> Diary:
    """Some days, with every slate looked at."""
    return live(world, make(world), n_days, slate=SLOTS, looks=[lambda _, asks, slates: promised(world, asks, slates)])


def everybody(world: World, hour: float = 1.0) -> Asks:
    """All people at once, in the world's last day."""
    n = len(world.users)
    at_ms = np.full(n, world.now_ms + int(hour * DAY_MS / 24), np.int64)
    return Asks(np.arange(n, dtype=np.int32), at_ms, np.zeros(n, np.int32))


def check_slates_hold_different_videos_that_may_be_shown(make: Make) -> None:
    """Videos come and go meanwhile, and people too."""
    diary = lived(make, small_world(), 6)
    assert (by_day(diary).views > 0).all()


def check_people_nobody_has_seen_are_answered(make: Make) -> None:
    world = small_world()
    feed = make(world)
    world.begin_day()
    feed.describe(world.describe())
    slates = feed.slates(everybody(world))
    promised(world, everybody(world), slates)
    assert (slates.item != NOTHING).any(axis=1).all()


def check_same_seed_same_bytes(make: Make) -> None:
    assert lived(make, small_world(), 3).digest() == lived(make, small_world(), 3).digest()


def check_all_ids_come_back(make: Make) -> None:
    """Of a catalogue as large as a slate, rows come back as they went; of what was taken down none."""
    world = small_world(n_videos=SLOTS, video_days=0)
    diary = lived(make, world, 2)
    assert len(world.videos) == SLOTS
    assert set(diary.videos.item.tolist()) <= set(range(SLOTS))
    assert len(diary.videos) > 0


def check_one_person_one_video(make: Make) -> None:
    habit = HabitConfig(come=(1, 1, 1, 1, 1), leave=0.0)
    world = small_world(n_users=1, n_videos=1, video_days=0, new_users=0, habit=habit)
    assert by_day(lived(make, world, 3)).views[0] > 0


def check_no_topics(make: Make) -> None:
    assert by_day(lived(make, small_world(n_topics=0), 2)).views.sum() > 0


def check_nobody_comes(make: Make) -> None:
    diary = lived(make, small_world(habit=HabitConfig(come=(0, 0, 0, 0, 0))), 2)
    assert len(diary.people) == 0
    assert by_day(diary).people.tolist() == [0, 0]


def check_nobody_comes_again(make: Make) -> None:
    habit = HabitConfig(leave=1.0, leave_liking=0.0, come=(1, 1, 1, 1, 1))
    assert by_day(lived(make, small_world(habit=habit, new_users=0), 3)).people.tolist()[1:] == [0, 0]


def check_everything_goes(make: Make) -> None:
    """Videos that live for less than a day: there are mornings with nothing to show."""
    diary = lived(make, small_world(n_videos=1, video_days=0.5, n_users=5), 4)
    assert len(by_day(diary).views) == 4


def check_nights_without_a_view(make: Make) -> None:
    """Nights without a view, and a day after them."""
    world = small_world()
    feed = make(world)
    for _ in range(3):
        world.begin_day()
        feed.describe(world.describe())
        feed.night(world.day)
        world.end_day()
    world.begin_day()
    feed.describe(world.describe())
    promised(world, everybody(world), feed.slates(everybody(world)))
