"""The short version of ``make torture``, and that its checks see what they are there for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from torture import checks, world
from torture.harness import SHARES, Torture


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_half_done_by_kill_9(tmp_path: Path) -> None:
    torture = Torture(tmp_path / "shop", seed=1)
    report = torture.run(kills=7)
    assert report.holds, report.table()
    assert {kill.part for kill in report.kills} == set(SHARES), "every part had its turn"
    assert len(torture.prober.versions) > 1
    assert json.dumps(report.as_dict())


def test_a_lost_and_a_doubled_event_are_seen(tmp_path: Path) -> None:
    at = world.make(tmp_path / "shop")
    told = [event["event_id"] for event in world.feed("first", 0)]
    torture = SimpleNamespace(at=at, acknowledged=[*told, "never-written"])
    lost, doubled = checks.acknowledged(torture)  # type: ignore[arg-type]
    assert not lost[1]
    assert "never-written" in lost[2]
    assert doubled[1]


def test_samples_of_another_log_are_seen(tmp_path: Path) -> None:
    at = world.make(tmp_path / "shop")
    checks.join(Workspace.open(at.path))
    (same, _) = checks.samples(SimpleNamespace(at=at))  # type: ignore[arg-type]
    assert same[1]
    part = next((at.path / "samples").glob("day=*/*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    there = tmp_path / "again"
    at.path.rename(there)
    log = open_log(Workspace.open(there))
    log.close()
    (changed, _) = checks.samples(SimpleNamespace(at=Workspace.open(there)))  # type: ignore[arg-type]
    assert not changed[1]
    assert part.name in changed[2]
