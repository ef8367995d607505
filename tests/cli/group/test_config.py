"""Nights come once a day at their hour of the wall, whatever the clocks do."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feedmill.cli.group.config import RunConfig, next_night, zone
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError


def ms(text: str, where: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(where)).timestamp() * 1e3)


@pytest.mark.parametrize(
    ("now", "at", "where", "expected_utc"),
    [
        ("2026-11-22T02:59:59", "03:00", "UTC", "2026-11-22T03:00:00"),
        ("2026-11-22T03:00:00", "03:00", "UTC", "2026-11-23T03:00:00"),  # at the hour itself: the next one
        ("2026-11-22T20:30:00", "03:00", "Asia/Shanghai", "2026-11-23T19:00:00"),  # 04:30 there
        ("2026-11-22T18:30:00", "03:00", "Asia/Shanghai", "2026-11-22T19:00:00"),
        ("2026-12-31T23:59:00", "00:00", "UTC", "2027-01-01T00:00:00"),
        ("2026-03-29T00:00:00", "02:30", "Europe/Berlin", "2026-03-29T01:30:00"),  # 02:30 is skipped that day
        ("2026-10-25T00:00:00", "02:30", "Europe/Berlin", "2026-10-25T00:30:00"),  # it comes twice: the first
        ("2026-10-25T00:30:00", "02:30", "Europe/Berlin", "2026-10-26T01:30:00"),  # and not the second
    ],
)
def test_the_next_night(now: str, at: str, where: str, expected_utc: str) -> None:
    night = next_night(ms(now), at, ZoneInfo(where))
    assert datetime.fromtimestamp(night / 1e3, UTC).replace(tzinfo=None).isoformat() == expected_utc


def test_the_zone_of_nights_is_that_of_days_unless_it_says_otherwise() -> None:
    assert zone(RunConfig(), "Asia/Shanghai").key == "Asia/Shanghai"
    assert zone(RunConfig(timezone="Europe/Berlin"), "Asia/Shanghai").key == "Europe/Berlin"
    with pytest.raises(ConfigError, match="IANA"):
        zone(RunConfig(timezone="Mars/Olympus"), "UTC")


@pytest.mark.parametrize(
    ("raw", "given"), [({"nightly": "3am"}, "3am"), ({"nightly": "24:00"}, "24:00"), ({"parts": ["serv"]}, "serv")]
)
def test_what_cannot_be_scheduled_is_refused(raw: dict[str, object], given: str) -> None:
    with pytest.raises(ConfigError, match=given):
        convert(raw, RunConfig, "run")


def test_the_page_shows_the_defaults() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "loop.md").read_text("utf-8")
    shown = tomllib.loads("[run]\n" + page.partition("```toml\n[run]\n")[2].partition("```")[0])
    assert convert(shown["run"], RunConfig, "run") == RunConfig()
    assert len(shown["run"]) == len(RunConfig.__struct_fields__)
