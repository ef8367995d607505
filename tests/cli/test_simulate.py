"""``feedmill simulate`` and ``report simulate`` as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.core.errors import FeedmillError

TINY = ("--days", 2, "--users", 30, "--videos", 60, "--views", 10)


def test_from_a_simulation_to_its_report(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "sim"
    done = run("simulate", "--dir", folder, *TINY, "-p", "chance", "-p", "popular", "--json", tmp_path / "x.json")
    assert done.exit_code == 0, done.output
    for words in ("30 people, 60 videos", "minutes each", "of the oracle's", "day 2", "report simulate"):
        assert words in done.output
    figures = json.loads((tmp_path / "x.json").read_text())
    assert [p["name"] for p in figures["policies"]] == ["chance", "popular", "oracle"]
    report = run("report", "simulate", "--dir", folder, "--json", tmp_path / "y.json")
    assert report.exit_code == 0, report.output
    for words in ("come next day", "100 in 2 days", "popular", "first day, s"):
        assert words in report.output
    assert json.loads((tmp_path / "y.json").read_text()) == figures


def test_an_experiment_is_told_in_sentences(tmp_path: Path, run: Run) -> None:
    done = run("simulate", "--dir", tmp_path, *TINY, "-p", "popular", "-t", "memory=1")
    assert done.exit_code == 0, done.output
    assert "experiment: popular with memory = 1" in done.output
    assert "true, each alone with everybody" in done.output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-p", "chian"), 'did you mean "chain"'),
        (("-p", "http://127.0.0.1:1"), "does not answer"),
        (("-p", "fast", "-p", "chance", "-t", "author_window=0"), "one policy that it changes"),
        (("-t", "author_window=0"), "one policy that it changes"),
        (("-p", "fast", "-t", "author_windo=0"), 'did you mean "author_window"'),
        (("-s", "taste.drift=1"), "did you mean"),
        (("--dir", "{tmp}/file/sim"), "--dir"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(
    tmp_path: Path, run: Run, args: tuple[str, ...], words: str
) -> None:
    (tmp_path / "file").write_text("")
    place = () if "--dir" in args else ("--dir", str(tmp_path / "sim"))
    done = run("simulate", *place, *(a.replace("{tmp}", str(tmp_path)) for a in args))
    assert done.exit_code == 1
    assert isinstance(done.exception, FeedmillError)
    assert words in str(done.exception)


@pytest.mark.parametrize("args", [("--users", 0), ("--days", -1), ("--videos", 0), ("--slate", 0), ("--seed", -1)])
def test_numbers_out_of_range_are_wrong_usage(run: Run, args: tuple[str, int]) -> None:
    done = run("simulate", *args)
    assert done.exit_code == 2
    assert args[0] in done.output
