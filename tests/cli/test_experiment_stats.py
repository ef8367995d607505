"""``feedmill experiment power`` and ``aa`` on a log's own users."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from cli.lived import lived
from feedmill.core.errors import DataError, NotFoundError


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    lived(folder)
    return folder


def test_power_says_how_many_users(workspace: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "power.json"
    out = run("experiment", "power", "-d", workspace, "--days", 7, "--effect", 0.1, "--json", file)
    assert out.exit_code == 0, out.output
    assert "no CLICK events" in " ".join(out.output.split())
    found = json.loads(file.read_text())["time_per_user"]
    assert found["effect"] == pytest.approx(0.1 * found["baseline"]["value"])
    assert (found["users"] > found["baseline"]["n"]) == (found["least_effect"] > found["effect"])
    again = run(
        "experiment", "power", "-d", workspace, "-m", "time_per_user", "--days", 7, "--absolute", found["effect"]
    )
    assert f"{found['users']:,}" in again.output


def test_aa_finds_five_percent(workspace: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "aa.json"
    out = run("experiment", "aa", "-d", workspace, "-m", "time_per_user", "-m", "click_rate", "--json", file)
    assert out.exit_code == 0, out.output
    assert "as it should be" in out.output
    assert "click_rate: no data" in out.output
    assert "no CLICK events" in " ".join(out.output.split())
    rate = json.loads(file.read_text())["time_per_user"]
    assert rate["low"] <= 0.05 <= rate["high"]


def test_what_cannot_be_is_said(workspace: Path, run: Run) -> None:
    assert isinstance(run("experiment", "power", "-d", workspace, "--share", 0.9).exception, DataError)
    assert isinstance(run("experiment", "aa", "-d", workspace, "-m", "nope").exception, NotFoundError)
    assert isinstance(run("experiment", "power", "-d", workspace, "-m", "nope").exception, NotFoundError)
    out = run("experiment", "power", "-d", workspace, "-m", "time_per_user", "--effect", 0)
    assert "time_per_user: an effect of 0" in out.output
