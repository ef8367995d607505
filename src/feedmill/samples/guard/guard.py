"""The circuit breaker itself."""

from __future__ import annotations

import msgspec
import numpy as np

from feedmill.core.batches import Mask, Times
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.rates import Entry, Rate
from feedmill.samples.guard.shapes import Shape
from feedmill.samples.guard.windows import Finding, Stretch, Window, quarantined

_MOST_REASONS = 20


class Memory(msgspec.Struct):
    """All that a guard knows, as plain data.

    Attributes:
        stretches: what is quarantined, in the order in which it was found.
        open_at: which of them goes on, -1 = none.
        well: healthy windows since the last bad one.
    """

    rates: dict[str, Rate] = {}
    shapes: dict[str, Shape] = {}
    stretches: list[Stretch] = []
    open_at: int = -1
    well: int = 0


class Guard:
    """A circuit breaker over windows in the order of time.

    Closed (all well), healthy windows become the baseline of each signal, which gathers windows until it expects enough
    to be judged. One signal that is off opens it: learning stops, what is served stays. ``config.healthy`` windows in
    a row in which nothing is off and what was off is as usual again, or ``resume``, close it.
    """

    def __init__(self, config: GuardConfig, memory: Memory | None = None) -> None:
        self.config, self._m = config, memory or Memory()

    @property
    def stretches(self) -> list[Stretch]:
        """What is quarantined, in the order in which it was found."""
        return self._m.stretches

    @property
    def is_open(self) -> bool:
        """Whether learning is cut off."""
        return self._m.open_at >= 0

    def observe(self, window: Window) -> list[Finding]:
        """Judge the next window; what is off, empty when all is well or too little came to say."""
        m, config, is_open = self._m, self.config, self.is_open
        found: list[Finding | None] = []
        for name, (k, of) in window.rates.items():
            rate = m.rates.setdefault(name, Rate())
            entry = Entry(float(k), float(of), window.start_ms)
            found.append(rate.observe(name, entry, config, is_open=is_open))
        for name, counts in window.shapes.items():
            shape = m.shapes.setdefault(name, Shape())
            values = np.asarray(counts, np.float64)
            found.append(shape.observe(name, values, window.start_ms, config, is_open=is_open))
        findings = [f for f in found if f is not None]
        if findings:
            self._break(window, findings)
        elif is_open:
            self._recover(window)
        return findings

    def resume(self, now_ms: int) -> None:
        """Learn on, by hand: what is coming is the new normal, and the baseline is gathered anew. What an hour of the
        day is like stays known, or a jump that comes every evening would be new every evening.
        """
        m = self._m
        if self.is_open:
            m.stretches[m.open_at].to_ms = max(now_ms, m.stretches[m.open_at].from_ms + 1)
        m.rates = {name: Rate(hours=rate.hours) for name, rate in m.rates.items()}
        m.shapes, m.open_at, m.well = {}, -1, 0

    def quarantine(self, stretch: Stretch) -> None:
        """Leave out a stretch that has ended, by hand."""
        self._m.stretches.append(stretch)

    def quarantined(self, time_ms: Times) -> Mask:
        """bool[n]: which moments lie in a stretch that must not be learned from."""
        return quarantined(self.stretches, time_ms)

    def usual(self) -> dict[str, float]:
        """The baseline's rate of every signal that has one."""
        return {name: rate.usual(self.config) for name, rate in self._m.rates.items() if rate.past}

    def state(self) -> bytes:
        """Everything, as JSON; equal guards give equal bytes."""
        return msgspec.json.encode(self._m, order="sorted")

    @classmethod
    def of(cls, config: GuardConfig, state: bytes) -> Guard:
        """The guard that ``state`` was taken of.

        Raises:
            msgspec.ValidationError: it is not what ``state`` gave.
        """
        return cls(config, msgspec.json.decode(state, type=Memory))

    def _break(self, window: Window, findings: list[Finding]) -> None:
        m, words = self._m, [f.words for f in findings]
        m.well = 0
        if self.is_open:
            stretch = m.stretches[m.open_at]
            stretch.reasons = list(dict.fromkeys([*stretch.reasons, *words]))[:_MOST_REASONS]
            return
        m.open_at = len(m.stretches)
        from_ms = min(f.from_ms for f in findings) - round(self.config.margin_s * 1e3)
        m.stretches.append(Stretch(from_ms, 0, words, found_ms=window.end_ms))
        self._settle()

    def _recover(self, window: Window) -> None:
        """A window in which nothing is off while it is open; these are still not learned from."""
        m = self._m
        m.well += 1
        tracks: list[tuple[str, Rate | Shape]] = [*m.rates.items(), *m.shapes.items()]
        if m.well >= self.config.healthy and all(t.is_well(name, self.config) for name, t in tracks):
            m.stretches[m.open_at].to_ms = window.end_ms
            m.open_at, m.well = -1, 0
            self._settle()

    def _settle(self) -> None:
        tracks: list[Rate | Shape] = [*self._m.rates.values(), *self._m.shapes.values()]
        for track in tracks:
            track.settle()
            track.is_off = track.is_off and self.is_open
