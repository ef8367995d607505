"""Videos by chance: what every other feed has to beat."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.events import EventBatch
from feedmill.sim.feeds.catalogue import Catalogue
from feedmill.sim.feeds.kernels import by_chance
from feedmill.sim.feeds.recent import Recent
from feedmill.sim.views import Asks, Slates, Views

Slots = Annotated[int, Meta(ge=1, le=200, description="videos of a slate")]
Memory = Annotated[
    int,
    Meta(ge=1, le=100_000, description="last videos of each person; not shown again while there are others"),
]


class ChanceConfig(Config, frozen=True, kw_only=True):
    """How much is shown."""

    slots: Slots = 10
    memory: Memory = 1000


class ChanceFeed:
    """Every video that may be shown and was not seen is as likely as any other.

    Chance is a function of the seed, the person and the time: who else asks changes nothing.
    """

    Config = ChanceConfig

    def __init__(self, config: ChanceConfig, seed: int) -> None:
        self.config, self._seed = config, seed
        self.catalogue, self.seen = Catalogue(), Recent(config.memory)

    def describe(self, events: EventBatch) -> None:
        """Put new videos into the catalogue."""
        self.catalogue.take(events)

    def slates(self, asks: Asks) -> Slates:
        """Draw."""
        self.seen.has(asks.user)
        of, seen = self.catalogue, self.seen
        return Slates(
            by_chance(self._seed, asks.user, asks.time_ms, of.on, of.is_on, seen.item, seen.n, self.config.slots)
        )

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Remember what was seen."""
        self.seen.note(views.user, views.item)

    def night(self, day: int) -> None:
        """Chance learns nothing."""
