"""Changes of the catalogue, as they are being written down event by event."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from feedmill.state.arrays import AUTHOR, AVAILABLE, DURATION, PUBLISH, TOPIC_WIDTH, TOPICS, Changes
from feedmill.state.attributes import Write


class Draft:
    """The changes of one batch; every setter writes to the event last begun."""

    def __init__(self) -> None:
        self._given: list[int] = []
        self._author: list[int] = []
        self._topics: list[Sequence[int]] = []
        self._publish_ms: list[int] = []
        self._duration_s: list[float] = []
        self._available: list[bool] = []
        self._start = [0]
        self._writes: list[Write] = []

    def begin(self) -> None:
        """The next event, which sets nothing yet."""
        self._given.append(0)
        self._author.append(0)
        self._topics.append(())
        self._publish_ms.append(0)
        self._duration_s.append(math.nan)
        self._available.append(True)
        self._start.append(len(self._writes))

    def author(self, row: int) -> None:
        self._given[-1] |= AUTHOR
        self._author[-1] = row

    def topics(self, rows: Sequence[int]) -> None:
        """At most TOPIC_WIDTH of them."""
        self._given[-1] |= TOPICS
        self._topics[-1] = rows

    def publish_ms(self, time_ms: int) -> None:
        self._given[-1] |= PUBLISH
        self._publish_ms[-1] = time_ms

    def duration_s(self, seconds: float) -> None:
        self._given[-1] |= DURATION
        self._duration_s[-1] = seconds

    def available(self, is_so: bool) -> None:
        self._given[-1] |= AVAILABLE
        self._available[-1] = is_so

    def codes(self, writes: Iterable[Write]) -> None:
        self._writes.extend(writes)
        self._start[-1] = len(self._writes)

    def take_down(self) -> None:
        """Everything unknown, and not available."""
        self.author(0)
        self.topics(())
        self.publish_ms(0)
        self.duration_s(math.nan)
        self.available(False)

    def changes(self) -> Changes:
        """What was written, as arrays."""
        topics = np.zeros((len(self._given), TOPIC_WIDTH), np.int32)
        for k, rows in enumerate(self._topics):
            topics[k, : len(rows)] = rows
        writes = np.array(self._writes, np.int32).reshape(-1, 2)
        return Changes(
            given=np.array(self._given, np.uint8),
            author=np.array(self._author, np.int32),
            topics=topics,
            publish_ms=np.array(self._publish_ms, np.int64),
            duration_s=np.array(self._duration_s, np.float32),
            available=np.array(self._available, np.bool_),
            code_start=np.array(self._start, np.int32),
            attribute=np.ascontiguousarray(writes[:, 0]),
            code=np.ascontiguousarray(writes[:, 1]),
        )
