"""``[samples.join]``: how long which feedback is waited for, and what the joiner takes time to be."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Meta, field
from numpy.typing import NDArray

from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError
from feedmill.core.events import N_COUNTED, Kind

FEEDBACK = tuple(kind.name.lower() for kind in Kind if 0 < kind < N_COUNTED)  # in the order of Kind, from CLICK on
# a click, a watch and a finish say one thing of an impression, so a label of it is final as soon as the last of them is
_SOON, _LATER, _LAST = ("click", "watch", "finish", "dislike"), ("like", "favourite"), ("share", "comment", "follow")
_WINDOWS = {**dict.fromkeys(_SOON, 900.0), **dict.fromkeys(_LATER, 1800.0), **dict.fromkeys(_LAST, 3600.0)}


class JoinConfig(Config, frozen=True):
    """Section ``[samples.join]``."""

    windows: Annotated[
        dict[str, float],
        Meta(description="seconds an impression waits for each kind of feedback; kinds not named are not joined"),
    ] = field(default_factory=lambda: dict(_WINDOWS))
    skew_s: Annotated[
        float, Meta(ge=0, description="seconds by which clocks may differ: windows are held open this much longer")
    ] = 300.0
    early_s: Annotated[
        float, Meta(ge=0, description="seconds that feedback waits for an impression that stands after it in the log")
    ] = 60.0
    witnesses: Annotated[
        int, Meta(ge=1, le=1024, description="feeds in a row that must agree that time has passed")
    ] = 8
    max_waiting: Annotated[
        int,
        Meta(ge=1, description="impressions held at most; beyond, the oldest closes before its time, and is counted"),
    ] = 20_000_000
    part_events: Annotated[
        int, Meta(ge=1024, description="events of the log that one file of samples, and one checkpoint, stands for")
    ] = 262_144
    timezone: Annotated[str, Meta(description="whose midnight parts the days: an IANA name such as Asia/Shanghai")] = (
        "UTC"
    )


class Groups(NamedTuple):
    """Kinds with equal windows close together.

    Attributes:
        window_ms: int64[G] ascending.
        of_kind: int8[N_COUNTED] the group of each kind, -1 = not joined.
        kinds: the joined kinds in the order of ``Kind``.
    """

    window_ms: NDArray[np.int64]
    of_kind: NDArray[np.int8]
    kinds: tuple[Kind, ...]

    @staticmethod
    def of(config: JoinConfig) -> Groups:
        """The groups of a config.

        Raises:
            ConfigError: no window, a kind nobody reports, a window that is not positive, or an unknown time zone.
        """
        at = "samples.join.windows"
        if not config.windows:
            raise ConfigError(f"{at} is empty", "a window for at least one kind", f"kinds are {list(FEEDBACK)}")
        for name, seconds in config.windows.items():
            if name not in FEEDBACK:
                raise ConfigError(f'{at} has "{name}"', f"one of {list(FEEDBACK)}", nearest(name, FEEDBACK))
            if not 0 < seconds <= 90 * 86_400:
                raise ConfigError(f"{at}.{name} = {seconds}", "seconds above 0, and at most 90 days")
        try:
            ZoneInfo(config.timezone)
        except (KeyError, ValueError, OSError):
            expected = "an IANA time zone such as UTC or Asia/Shanghai"
            raise ConfigError(f'samples.join.timezone = "{config.timezone}"', expected) from None
        by_kind = {Kind[name.upper()]: round(seconds * 1000) for name, seconds in config.windows.items()}
        window_ms = np.unique(np.array(list(by_kind.values()), np.int64))
        of_kind = np.full(N_COUNTED, -1, np.int8)
        for kind, ms in by_kind.items():
            of_kind[kind] = np.searchsorted(window_ms, ms)
        return Groups(window_ms, of_kind, tuple(sorted(by_kind)))

    def known(self, group: int) -> tuple[Kind, ...]:
        """The kinds whose labels are final when a group closes: its own, and those of shorter windows."""
        return tuple(kind for kind in self.kinds if self.of_kind[kind] <= group)
