"""The fold of the log: histories, counters and catalogue, as of any event."""

from feedmill.state.arrays import TOPIC_WIDTH
from feedmill.state.catalogue import Catalogue
from feedmill.state.config import COUNT_NAMES, StateConfig
from feedmill.state.ids import IdMap
from feedmill.state.probed import CROSS, Facts, Probed
from feedmill.state.replay import Replay
from feedmill.state.state import State

__all__ = [
    "COUNT_NAMES",
    "CROSS",
    "TOPIC_WIDTH",
    "Catalogue",
    "Facts",
    "IdMap",
    "Probed",
    "Replay",
    "State",
    "StateConfig",
]
