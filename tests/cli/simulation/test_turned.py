"""A feed that becomes another one."""

from __future__ import annotations

from audiences import asks, slates, small_world, views
from feedmill.cli.simulation.turned import Turned
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed


def test_the_second_answers_from_its_day_on_and_knows_what_was_before() -> None:
    world = small_world()
    first, second = (ChanceFeed(ChanceConfig(slots=k), 0) for k in (2, 3))
    feed = Turned(first, second, 1)
    feed.describe(world.describe())
    who = asks([0])
    shown = feed.slates(who)
    assert shown.item.shape == (1, 2)
    feed.take(who, slates([4, 5]), views([(0, 0, 4, 1.0), (0, 0, 5, 1.0)]))
    feed.night(0)
    assert feed.slates(who).item.shape == (1, 3)
    assert first.seen.item[0, :2].tolist() == second.seen.item[0, :2].tolist()
