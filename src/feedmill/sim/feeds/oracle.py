"""The feed that knows the truth: everybody's regret is counted from it."""

from __future__ import annotations

from typing import Protocol

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch
from feedmill.sim.views import Asks, Slates, Views


class Knowing(Protocol):
    """What the oracle asks of a world."""

    def oracle_slates(self, asks: Asks, k: int) -> Rows:
        """int32[B, k] what each would watch longest now, chosen greedily; ``NOTHING`` where there is less."""
        ...


class OracleFeed:
    """What each person would watch longest at this moment, by the world's truth.

    It is greedy: it looks neither at the session's end nor at tomorrow, so that in the long run another feed could be
    better, in principle.
    """

    def __init__(self, world: Knowing, slots: int = 10) -> None:
        self._world, self._slots = world, slots

    def describe(self, events: EventBatch) -> None:
        """The world knows."""

    def slates(self, asks: Asks) -> Slates:
        """Ask the world."""
        return Slates(self._world.oracle_slates(asks, self._slots))

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Nothing is learned."""

    def night(self, day: int) -> None:
        """Nothing is learned."""
