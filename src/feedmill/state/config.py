"""What the state keeps: how long histories are, and which counters over which windows."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from feedmill.core.batches import LANE_ROW, LANES
from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError
from feedmill.core.events import N_COUNTED, Kind
from feedmill.state.arrays import N_ENTERING, WAYS, Plan

HOUR, DAY = 3600.0, 86400.0
FOREVER = "all"  # the window that never decays
COUNT_NAMES = (
    *(f"{kind}.{window}" for kind in ("impression", "click", "like") for window in ("1d", "7d", "30d", FOREVER)),
    *(f"watch.{window}" for window in ("7d", FOREVER)),  # seconds
)
EPOCHS = 256  # length of an epoch in the shortest time constant: sums stay below e^256 times a count


class StateConfig(Config, frozen=True):
    """Parameters of the state. Changing any of them makes the state replay the log."""

    history_len: Annotated[int, Meta(ge=1, le=1024, description="entries of each of a user's histories")] = 50
    windows: Annotated[
        dict[str, Annotated[float, Meta(ge=1, le=1e9)]],
        Meta(description="time constants of the decayed counters, in seconds, by name"),
    ] = msgspec.field(default_factory=lambda: {"1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY})
    counts: Annotated[
        tuple[str, ...],
        Meta(
            description='counters kept of every user, item, author and topic: "kind.window", window "all" = undecayed, '
            '"*" = each of them'
        ),
    ] = COUNT_NAMES
    user_topics: Annotated[
        int,
        Meta(
            ge=0,
            le=2**28,
            description="pairs of user and topic whose counters are kept, the least lately used giving way; 0 = none. "
            "A pair takes 16 bytes and 8 for every counter",
        ),
    ] = 0
    max_attributes: Annotated[
        int,
        Meta(ge=0, le=4096, description="categorical attributes kept of items, and of users; later names are ignored"),
    ] = 64
    max_queries: Annotated[
        int,
        Meta(ge=0, le=100_000_000, description="distinct query texts kept; later new ones enter no history"),
    ] = 1_000_000

    def __post_init__(self) -> None:
        if FOREVER in self.windows:
            raise ConfigError(f'windows has "{FOREVER}"', f'other names: "{FOREVER}" is the window that never decays')
        names = self.count_names
        if len(set(names)) < len(names):
            raise ConfigError(f"counts = {list(self.counts)}", "each counter once")

    def _parse(self, name: str) -> tuple[Kind, str]:
        kind, _, window = name.partition(".")
        kinds = {k.name.lower(): k for k in Kind if k < N_COUNTED}
        windows = [*self.windows, FOREVER]
        if kind not in kinds or window not in windows:
            known = [f"{k}.{w}" for k in kinds for w in windows]
            raise ConfigError(
                f'no counter "{name}"', f"one of {list(kinds)}, a dot, one of {windows}", nearest(name, known)
            )
        return kinds[kind], window

    @property
    def count_names(self) -> tuple[str, ...]:
        """The counters in the order of their columns: by kind, then as configured."""
        return tuple(sorted(self._expanded(), key=lambda name: self._parse(name)[0]))

    @property
    def n_pairs(self) -> int:
        """Rows kept for pairs of user and topic: ``user_topics`` in whole sets."""
        return -(-self.user_topics // WAYS) * WAYS

    def _expanded(self) -> list[str]:
        """ "click.*" as a name for each window."""
        windows = [*self.windows, FOREVER]
        parts = [(name, name.partition(".")) for name in self.counts]
        return [f"{p[0]}.{w}" for name, p in parts for w in (windows if p[2] == "*" else [p[2]])]

    def plan(self) -> Plan:
        """The same as arrays for the kernel."""
        parsed = [self._parse(name) for name in self.count_names]
        seconds = np.array([self.windows.get(window, np.inf) for _, window in parsed])
        entered = [(kind, LANE_ROW[lane]) for kind in range(N_ENTERING) for lane in LANES if kind in LANES[lane]]
        return Plan(
            lane_start=np.searchsorted([kind for kind, _ in entered], np.arange(N_ENTERING + 1)).astype(np.int32),
            lanes=np.array([lane for _, lane in entered], np.int32),
            kind_start=np.searchsorted([kind for kind, _ in parsed], np.arange(N_ENTERING + 1)).astype(np.int32),
            rate=1e-3 / seconds,
            epoch_ms=np.array([1e3 * EPOCHS * min([*seconds, DAY])], np.int64),
        )
