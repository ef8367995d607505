"""What answers the audience: anything from chance to the whole chain behind HTTP."""

from __future__ import annotations

from typing import Protocol

from feedmill.core.events import EventBatch
from feedmill.sim.views import Asks, Slates, Views


class Feed(Protocol):
    """Slates for people, and what they made of them.

    The loop calls, for each simulated day, ``describe`` once, then ``slates`` and ``take`` in turn many times, then
    ``night``. A feed knows what is said to it here and nothing of the world's truth, except the oracle.
    """

    def describe(self, events: EventBatch) -> None:
        """ITEM and USER events of those who are new since the last call, before anybody asks."""
        ...

    def slates(self, asks: Asks) -> Slates:
        """Items for each; short or empty where there is nothing (left) to show."""
        ...

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """What became of the last slates."""
        ...

    def night(self, day: int) -> None:
        """The day (0, 1, …) is over: learn, if it learns."""
        ...
