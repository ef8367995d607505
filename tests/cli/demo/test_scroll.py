"""What is on the screen while people scroll."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from audiences import asks, slates, small_world, views
from feedmill.cli.demo.scroll import Scroll
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.live import live


def screen(x: Scroll) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(x.drawn())
    return captured.get()


def test_bars_are_seconds_of_a_film_by_arm() -> None:
    world = small_world()
    arm = np.array(["varied" if u % 2 else "control" for u in range(len(world.users))])
    arm[4] = ""  # in no arm: counted for none
    x = Scroll(ChanceFeed(ChanceConfig(slots=2), 0), world, arm, ("control", "varied"))
    x.describe(world.describe())
    who = asks([0, 1, 4])
    x.slates(who)
    x.take(
        who, slates([0, 1], [2, 3], [4, 5]), views([(0, 0, 0, 10.0), (0, 0, 1, 30.0), (1, 1, 2, 5.0), (2, 4, 4, 99.0)])
    )
    assert x.views.tolist() == [2, 1]
    assert x.seconds.tolist() == [40, 5]
    said = screen(x)
    assert "3 people have looked at 3 films" in said
    assert "20.0 s a film" in said
    assert "5.0 s a film" in said
    long, short = (line.count("━") for line in said.splitlines()[1:])
    assert (long, short) == (40, 10)


def test_what_passes_through_is_the_feeds(capsys: object) -> None:
    runs = []
    for wrapped in (False, True):
        world, feed = small_world(), ChanceFeed(ChanceConfig(slots=3), 0)
        arm = np.full(len(world.users), "control")
        if wrapped:
            with Scroll(feed, world, arm, ("control", "varied")) as x:
                runs.append(live(world, x, 1, slate=3, what="").digest())
        else:
            runs.append(live(world, feed, 1, slate=3, what="").digest())
    assert runs[0] == runs[1]
