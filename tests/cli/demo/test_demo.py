"""The demo on a MovieLens of thirty people: every step, in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.cli import demo
from feedmill.cli.start import template
from feedmill.core.clock import rng

pytestmark = pytest.mark.slow


def write_movielens(folder: Path) -> Path:
    """Files of ML-100K's names and columns."""
    random = rng(0, "mini")
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(1, 31):
        for at, item in enumerate(random.choice(50, 12, replace=False)):
            ratings.append(f"{user}\t{item + 1}\t{random.integers(1, 6)}\t{880_000_000 + 1000 * user + at}")
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    items += [f"{i}\tFilm Number {i}\t{1950 + i}\t{'Comedy' if i % 2 else 'Drama'}" for i in range(1, 51)]
    users = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    users += [f"{u}\t{20 + u}\t{'F' if u % 2 else 'M'}\twriter\t00000" for u in range(1, 31)]
    for name, rows in (("inter", ratings), ("item", items), ("user", users)):
        (folder / f"ml-100k.{name}").write_text("\n".join(rows) + "\n")
    return folder


def test_the_demo_goes_from_nothing_to_an_experiment(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = template().replace("epochs = 8", "epochs = 1").replace("epochs = 6", "epochs = 1").replace("8642", "0")
    monkeypatch.setattr("feedmill.cli.start.template", lambda: quick)
    write_movielens(tmp_path)
    done = run("demo", "--dir", tmp_path / "demo", "--from", tmp_path, "--no-stay")
    assert done.exit_code == 0, done.output
    assert done.output.count("feed of user") == demo.VIEWERS
    assert "Film Number" in done.output
    for stage in ("popular", "itemcf", "two_tower", "after rank", "prerank", "rerank.mmr", "exposure"):
        assert stage in done.output
    assert "not ready" not in done.output
    assert "5/5 done" in done.output
    assert "people have looked at" in done.output
    assert "report experiment exploring" in done.output
    shown = run("experiment", "show", "exploring", "--dir", tmp_path / "demo")
    assert "stopped" in shown.output
    again = run("experiment", "list", "--dir", tmp_path / "demo")
    assert "explored" in again.output


def test_the_demo_config_is_the_template_as_of_the_newest_event(tmp_path: Path) -> None:
    at = demo.workspace(tmp_path / "demo")
    assert at.raw["serve"]["clock"] == "newest"
    assert at.raw["rerank"]["rules"][1]["by"] == "topic"
    assert len((tmp_path / "demo" / "feedmill.toml").read_text().splitlines()) < 60
    assert demo.workspace(tmp_path / "demo").raw == at.raw
