"""What somebody has marked: advertisements, or what the house itself wants shown."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Interactions, Part, Rows, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.retrieval.blend import SCORE, KeyedLookup
from feedmill.retrieval.keyed import Doubles
from feedmill.state import State

MOST = 100_000  # marked items that are looked at


class MarkedConfig(Config, frozen=True, kw_only=True):
    """Which items are meant, and which of them first."""

    attribute: Annotated[str, Meta(min_length=1, description="attribute of items that marks them")] = "slot"
    value: Annotated[str, Meta(min_length=1, description="its text for the items that are brought")] = "ad"
    order: Annotated[
        str, Meta(description='numeric attribute, such as "bid", the highest first; "" = the latest published first')
    ] = ""


class MarkedChannel:
    """The items whose attribute has the value now, the same for everyone: an ITEM event sets and clears it.

    The score is the number that orders them, 0 where an item has none, or 1 / (1 + days since publication).

    Args:
        name: the channel's name.
        config: see MarkedConfig.
        part: empty: all is read off the living state.
        state: its catalogue tells what is marked.
    """

    Config = MarkedConfig
    learns = False

    def __init__(self, name: str, config: MarkedConfig, part: Part, state: State) -> None:
        self.name, self.config, self._state = name, config, state
        order = self._number if config.order else "newest"
        self._lookup = KeyedLookup(name, state, self._is_meant, order, np.zeros(0, np.float32), MOST)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: MarkedConfig, seed: int) -> Part:
        """Nothing is learnt."""
        return Part("marked", msgspec.to_builtins(config), {})

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit``."""
        one = np.ones(1, np.int32)
        return self._lookup.answer(one, one, SCORE, int(user.time_ms[0]), limit)

    def _is_meant(self, rows: Rows) -> Rows:
        """Key 1 for what is marked."""
        catalogue, c = self._state.catalogue, self.config
        code = catalogue.item_code(c.attribute, c.value)
        if not code:
            return np.zeros((len(rows), 1), np.int32)
        keys: Rows = (catalogue.item_codes(c.attribute)[rows] == code).astype(np.int32)[:, None]
        return keys

    def _number(self, rows: Rows) -> Doubles:
        catalogue, name = self._state.catalogue, self.config.order
        if name not in catalogue.item_attributes:
            return np.zeros(len(rows))
        return np.nan_to_num(catalogue.numbers(name)[catalogue.item_codes(name)[rows]].astype(np.float64))
