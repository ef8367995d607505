"""From what the joiner counts to what the guard judges: a window of the stream each time the log's clock enters one.

A window is counted as it is joined, not when its samples are settled: clicks that stop joining show within a window,
though the impressions they belong to wait for ten minutes. Ticks and windows depend on the log alone, so that a replay
judges the same.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.samples.guard import by_hand
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.guard import Guard, Memory
from feedmill.samples.guard.rates import LOST
from feedmill.samples.guard.verdict import Verdict
from feedmill.samples.guard.windows import Finding, Stretch, Window
from feedmill.samples.joiner.config import Groups
from feedmill.samples.joiner.kernel import IN, JOINED, OF_KIND, OF_SHOWN, ORPHANED, TICK_COUNTS, TOO_LATE
from feedmill.samples.joiner.keys import keys

Longs = NDArray[np.int64]
BINS = 16
POSITION, PEOPLE, WATCHED = "position", "people", "watched minutes"


class Held(msgspec.Struct):
    """All that a watch knows, as plain data.

    Attributes:
        tick: the joiner's counts where the last window ended, [] before there is one.
        shapes: of the window that goes on.
        resumes: how often it was told to learn on.
    """

    guard: Memory = msgspec.field(default_factory=Memory)
    tick: list[int] = []
    shapes: dict[str, list[float]] = {}
    resumes: int = 0


class Watch:
    """Feeds a guard with windows of the joined stream.

    Args:
        groups: which kinds are joined.
        state: of an earlier one, to go on from.

    Attributes:
        guard: what judges them.

    Raises:
        msgspec.ValidationError: the state is not what ``state`` gave.
    """

    def __init__(self, config: GuardConfig, groups: Groups, state: str = "") -> None:
        self._held = msgspec.json.decode(state, type=Held) if state else Held()
        self.guard, self._groups = Guard(config, self._held.guard), groups

    @property
    def clock_ms(self) -> int | None:
        """Event time up to which it has judged, None before the first window."""
        return self._held.tick[1] if self._held.tick else None

    def feed(self, events: EventBatch, offset: int, ticks: Longs) -> list[Finding]:
        """Take events of the log and what the joiner said of them; what is off, in order.

        Args:
            offset: of the first event in the log.
            ticks: int64[T, …] of ``joiner.Joined``.
        """
        ends = ticks[:, 0] - offset if len(ticks) else np.zeros(0, np.int64)
        shapes = _shapes(events, ends)
        orders = list(by_hand.orders(events))
        out: list[Finding] = []
        for j in range(len(ends) + 1):
            upto = ends[j] if j < len(ends) else len(events)
            while orders and orders[0][0] < upto:
                self._obey(orders.pop(0)[1])
            for name, counts in shapes.items():
                before = np.array(self._held.shapes.get(name, [0.0] * BINS))
                self._held.shapes[name] = (before + counts[j]).tolist()
            if j < len(ends):
                out += self._judge(ticks[j])
        return out

    def verdict(self) -> Verdict:
        """What must not be learned from, as far as it is known."""
        guard = self.guard
        rates = {name: round(rate, 6) for name, rate in guard.usual().items()}
        stretches = [msgspec.structs.replace(s) for s in guard.stretches]
        offset = self._held.tick[0] if self._held.tick else 0
        return Verdict(offset, self.clock_ms, guard.is_open, stretches, self._held.resumes, rates)

    def state(self) -> str:
        """Everything, as JSON; equal watches give equal texts."""
        return msgspec.json.encode(self._held, order="sorted").decode()

    def _judge(self, tick: Longs) -> list[Finding]:
        held, before = self._held, np.array(self._held.tick, np.int64)
        held.tick = tick.tolist()
        shapes, held.shapes = {k: np.array(v) for k, v in held.shapes.items()}, {}
        if not len(before):  # where it began to count nobody knows
            return []
        window = Window(int(before[1]), int(tick[1]), rates(tick - before, self._groups), shapes)
        return self.guard.observe(window)

    def _obey(self, order: by_hand.Order) -> None:
        if order.action == "quarantine":
            self.guard.quarantine(Stretch(order.from_ms, order.to_ms, [order.why], order.who))
        elif self.clock_ms is not None:
            self.guard.resume(self.clock_ms)
            self._held.resumes += 1


def rates(passed: Longs, groups: Groups) -> dict[str, tuple[float, float]]:
    """The signals of a window: for each kind what was joined of the impressions, and lost of the feedback; minutes
    watched of the impressions.

    Args:
        passed: int64[…] by how much a tick's counts have grown.
    """
    n = float(passed[TICK_COUNTS + IN])
    kinds = passed[TICK_COUNTS + len(OF_SHOWN) :].reshape(N_COUNTED, len(OF_KIND)).astype(np.float64)
    out: dict[str, tuple[float, float]] = {}
    for kind in groups.kinds:
        name, joined = kind.name.lower(), float(kinds[kind, JOINED])
        lost = float(kinds[kind, TOO_LATE] + kinds[kind, ORPHANED])
        out[name], out[name + LOST] = (joined, n), (lost, joined + lost)
    if Kind.WATCH in groups.kinds:
        out[WATCHED] = (float(passed[2]) / 60_000, n)
    return out


def _shapes(events: EventBatch, ends: Longs) -> dict[str, NDArray[np.float64]]:
    """float64[T + 1, BINS] of the events up to each tick, and after the last: the positions of what was shown, and the
    people whose feedback came, by hash."""
    kind = events.numpy("kind")
    shown = np.flatnonzero(kind == Kind.IMPRESSION)
    said = np.flatnonzero((kind > Kind.IMPRESSION) & (kind < N_COUNTED))
    position = np.clip(events.numpy("position")[shown].astype(np.int64) + 1, 0, BINS - 1)
    people = events.table.column("user_id").take(pa.array(said))
    return {
        POSITION: _counted(position, np.searchsorted(ends, shown, "right"), len(ends)),
        PEOPLE: _counted(keys(people, people).first & (BINS - 1), np.searchsorted(ends, said, "right"), len(ends)),
    }


def _counted(values: Longs, segment: Longs, n_ends: int) -> NDArray[np.float64]:
    counts = np.bincount(segment * BINS + values, minlength=(n_ends + 1) * BINS)
    return counts.reshape(n_ends + 1, BINS).astype(np.float64)
