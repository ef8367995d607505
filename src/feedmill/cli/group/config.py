"""``[run]``: which parts, when, and how patient their supervisor is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.errors import ConfigError

Name = Literal["serve", "join", "incremental", "nightly"]
Seconds = Annotated[float, Meta(gt=0)]


class RunConfig(Config, frozen=True):
    """Section ``[run]``."""

    parts: Annotated[tuple[Name, ...], Meta(min_length=1, description="what runs; each also runs alone")] = (
        "serve",
        "join",
        "incremental",
        "nightly",
    )
    incremental_s: Annotated[float, Meta(gt=0, description="seconds from one incremental update to the next")] = 300.0
    nightly: Annotated[
        str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="when the full update starts, HH:MM")
    ] = "03:00"
    timezone: Annotated[str, Meta(description='whose nights: an IANA name; "" = that of [samples.join]')] = ""
    backoff_s: Annotated[
        float, Meta(gt=0, description="seconds before a part that ended is started again; doubles each time")
    ] = 1.0
    backoff_most_s: Annotated[float, Meta(gt=0, description="what that grows to at most")] = 60.0
    healthy_s: Annotated[float, Meta(gt=0, description="a part that has run so many seconds begins at backoff_s")] = (
        60.0
    )
    grace_s: Annotated[
        float, Meta(gt=0, description="seconds that a part has to end when it is told to, before it is killed")
    ] = 10.0


def zone(config: RunConfig, of_days: str) -> ZoneInfo:
    """The time zone of the nights.

    Args:
        of_days: the zone whose midnight parts the samples' days, which nights have too unless they say otherwise.

    Raises:
        ConfigError: there is no such zone.
    """
    name = config.timezone or of_days
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        expected = "an IANA time zone such as UTC or Asia/Shanghai"
        raise ConfigError(f'run.timezone = "{name}"', expected) from None


def next_night(now_ms: int, at: str, where: ZoneInfo) -> int:
    """The next HH:MM after now, as milliseconds since 1970 UTC.

    An hour that a change of clocks skips is had at the moment of that change or within the hour after; one that comes
    twice is had once.
    """
    hour, minute = map(int, at.split(":"))
    today = datetime.fromtimestamp(now_ms / 1e3, where).date()
    for days in range(3):
        day = today + timedelta(days=days)
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=where)
        if (moment_ms := round(moment.timestamp() * 1e3)) > now_ms:
            return moment_ms
    raise AssertionError("a night comes within two days")
