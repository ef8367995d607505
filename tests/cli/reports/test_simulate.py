"""The report on a simulation that is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from cli.simulated import simulation
from feedmill.cli.reports.simulate import heading
from feedmill.cli.simulation.summary import write
from feedmill.core.errors import DataError


def test_all_that_is_known_is_told(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    write(simulation(), tmp_path)
    done = run("report", "simulate", "--dir", tmp_path, "--out", tmp_path / "page")
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    for words in (
        "86.0% ±1.2",  # of the oracle's
        "days 4 to 7",
        "chain, after",
        "rank 84.0% 10.0%",  # what a stage leaves and loses
        "re-rank 86.0% -2.0%",
        "two_tower 90.0% 80.0%",  # a channel alone, and all without it
        "true, each alone with everybody: +3.8%, inside the interval",
        "-12.0% ±2.0 chain",
    ):
        assert words in said, words
    assert "7 pictures" in done.output
    assert (tmp_path / "page" / "index.html").is_file()


def test_the_heading_counts() -> None:
    assert heading(simulation()) == ("1,000 people and 2,000 videos on the first day, 7 days, slates of 10, seed 0")


def test_no_simulation_is_said(tmp_path: Path, run: Run) -> None:
    done = run("report", "simulate", "--dir", tmp_path)
    assert isinstance(done.exception, DataError)
    assert "feedmill simulate --dir" in str(done.exception)
