"""Viewers in the terminal: the time of their day, the last films they watched, and a bar for each arm."""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from feedmill.cli.show import out
from feedmill.core.events import EventBatch
from feedmill.sim.views import Asks, Slates, Views

if TYPE_CHECKING:
    from feedmill.sim.feed import Feed
    from feedmill.sim.world import World

WIDTH, LAST = 40, 5
INKS = ("cyan", "magenta")


class Scroll:
    """A feed that shows on the terminal what passes through it.

    Args:
        feed: that answers.
        arm: str[N] of each person by world row.
        arms: their names, in the order of the bars.
    """

    def __init__(self, feed: Feed, world: World, arm: NDArray[np.str_], arms: tuple[str, ...]) -> None:
        self._feed, self._world, self._arms = feed, world, arms
        self._arm = np.array([arms.index(a) if a in arms else -1 for a in arm.tolist()])
        self.people = np.zeros(len(arm), np.bool_)
        self.seconds, self.views = np.zeros(len(arms)), np.zeros(len(arms), np.int64)
        self._last: deque[str] = deque(maxlen=LAST)
        self._now_ms = 0
        self._live: Live | None = None
        self._titles = [_title(text) for text in world.videos.said]

    def __enter__(self) -> Scroll:
        if sys.stdout.isatty():
            self._live = Live(console=out, refresh_per_second=8, get_renderable=self.drawn)
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        live, self._live = self._live, None  # what stays on the screen is without the films
        if live is not None:
            live.stop()
        else:
            out.print(self.drawn())

    def describe(self, events: EventBatch) -> None:
        """As the feed."""
        self._feed.describe(events)

    def slates(self, asks: Asks) -> Slates:
        """As the feed."""
        self._now_ms = int(asks.time_ms[0])
        return self._feed.slates(asks)

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """As the feed, and count."""
        self._feed.take(asks, slates, views)
        arm = self._arm[views.user]
        known = arm >= 0
        self.people[asks.user] = True
        self.views += np.bincount(arm[known], minlength=len(self._arms))
        self.seconds += np.bincount(arm[known], views.seconds[known], len(self._arms))
        _, first = np.unique(views.ask, return_index=True)
        self._last.extend(self._line(views, at) for at in first[-LAST:].tolist())

    def night(self, day: int) -> None:
        """As the feed."""
        self._feed.night(day)

    def drawn(self) -> Group:
        """What is on the screen now."""
        is_on = self._live is not None
        clock = f"{datetime.fromtimestamp(self._now_ms / 1e3, UTC):%H:%M}  " if is_on else ""
        many = f"{int(self.people.sum()):,} people have looked at {int(self.views.sum()):,} films"
        lines: list[Any] = [Text.from_markup(f"{clock}{many}")]
        lines += [Text.from_markup(f"  [dim]{line}[/]") for line in self._last] if is_on else []
        means = self.seconds / np.maximum(self.views, 1)
        most = max(float(means.max(initial=0)), 1.0)
        for name, mean, ink in zip(self._arms, means.tolist(), INKS, strict=True):
            bar = "━" * round(WIDTH * mean / most)
            lines.append(Text.from_markup(f"  {escape(name):<10}[{ink}]{bar:<{WIDTH}}[/] {mean:.1f} s a film"))
        return Group(*lines)

    def _line(self, views: Views, at: int) -> str:
        user, item = int(views.user[at]), int(views.item[at])
        of = self._world.videos.duration_s[item]
        who = f"user {self._world.users.ids[user]}"
        return f"{escape(who):<10} {escape(self._titles[item])}: {views.seconds[at]:.0f} of {of:.0f} s"


def _title(said: str) -> str:
    return str(msgspec.json.decode(said).get("title") or "?")
