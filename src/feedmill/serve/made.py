"""Components that are ready: chains that differ in one setting share all the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class Made:
    """What has been made so far, by what it was made of.

    Channels hold indexes and rankers hold sessions: an experiment that changes a weight of the fusion must not load
    them again, nor an arm that changes one channel the other channels.
    """

    def __init__(self) -> None:
        self._things: dict[bytes, Any] = {}

    def once(self, make: Callable[[], Any], *of: Any) -> Any:
        """The thing made of ``of`` (names and configs), made by ``make`` if it is not there."""
        key = msgspec.json.encode(of)
        if key not in self._things:
            self._things[key] = make()
        return self._things[key]
