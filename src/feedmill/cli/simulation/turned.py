"""One feed at first, another from some day on: an experiment whose people were there before it began."""

from __future__ import annotations

from feedmill.core.events import EventBatch
from feedmill.sim.feed import Feed
from feedmill.sim.views import Asks, Slates, Views


class Turned:
    """Answers with one feed, then with the other; both are told everything and learn from it.

    Args:
        day: the first of the second feed.
    """

    def __init__(self, before: Feed, after: Feed, day: int) -> None:
        self._feeds, self._day, self._today = (before, after), day, 0

    def describe(self, events: EventBatch) -> None:
        """To both."""
        for feed in self._feeds:
            feed.describe(events)

    def slates(self, asks: Asks) -> Slates:
        """Of the feed whose day it is."""
        return self._feeds[self._today >= self._day].slates(asks)

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """To both."""
        for feed in self._feeds:
            feed.take(asks, slates, views)

    def night(self, day: int) -> None:
        """Both learn."""
        for feed in self._feeds:
            feed.night(day)
        self._today = day + 1
