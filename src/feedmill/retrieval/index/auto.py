"""The kind that fits the size."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.retrieval.index.flat import FlatConfig
from feedmill.retrieval.index.ivf import IvfConfig


class AutoConfig(Config, frozen=True, kw_only=True):
    """Where comparing everything ends."""

    flat_below: Annotated[int, Meta(ge=0, description="items below which all are compared with every query")] = 200_000
    recall: Annotated[
        float, Meta(ge=0, lt=1, description="recall@100 against exact, for which a build doubles its effort")
    ] = 0.95


class Auto:
    """Flat below about 200 k items, regions with a byte per number above; flat again where so many regions would have
    to be visited for the recall wanted that nothing is gained. What it came to stands in the report of the build.
    """

    Config = AutoConfig
    WORTH = 4  # regions are worth their trouble while no more than one item in so many is compared

    @staticmethod
    def choose(n: int, config: AutoConfig) -> tuple[str, Any]:
        """A kind and its parameters for n items."""
        return ("flat", FlatConfig()) if n < config.flat_below else ("ivf", IvfConfig(recall=config.recall))
