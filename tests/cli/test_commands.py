"""The commands as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from cli.conftest import SMALL, Run, write_events
from feedmill.cli.start import template
from feedmill.core.errors import ConfigError, DataError, FeedmillError

pytestmark = pytest.mark.slow


def test_init_writes_a_config_that_is_whole_and_short(tmp_path: Path, run: Run) -> None:
    made = run("init", tmp_path / "shop")
    assert made.exit_code == 0
    assert "next: feedmill ingest" in made.output
    assert len(template().splitlines()) < 60
    shown = run("config", "--explain", "--dir", tmp_path / "shop")
    assert shown.exit_code == 0
    for parameter in ("rerank.fusion.weights", "retrieval.channels.itemcf.recency", "rank.n_experts", "serve.port"):
        assert parameter in shown.output
    again = run("init", tmp_path / "shop")
    assert isinstance(again.exception, FeedmillError)


def test_an_override_is_checked_like_the_file(tmp_path: Path, run: Run) -> None:
    run("init", tmp_path / "shop")
    good = run("config", "--dir", tmp_path / "shop", "-s", "rerank.fusion.weights.like=0.25")
    assert "0.25" in good.output
    bad = run("config", "--dir", tmp_path / "shop", "-s", "rerank.fusion.wieghts={}")
    assert isinstance(bad.exception, ConfigError)
    assert 'did you mean "weights"' in str(bad.exception)


def test_training_prints_the_table_and_publishes(trained: Path, run: Run) -> None:
    rows = json.loads((trained / "figures.json").read_text())
    assert {"what", "metric", "value", "low", "high", "seed", "split", "machine", "versions"} <= set(rows[0])
    assert {"popular", "itemcf", "after rank", "after re-rank"} <= {r["what"] for r in rows}
    assert len({r["split"] for r in rows}) == 1
    listed = run("models", "list", "--dir", trained)
    assert "*" in listed.output


def test_evaluate_repeats_what_training_measured(trained: Path, run: Run) -> None:
    result = run("evaluate", "--dir", trained, "--json", trained / "again.json")
    assert result.exit_code == 0, result.output
    first, second = (json.loads((trained / f).read_text()) for f in ("figures.json", "again.json"))
    assert [r["value"] for r in first] == [r["value"] for r in second]


def test_a_changed_split_is_refused(trained: Path, run: Run) -> None:
    result = run("evaluate", "--dir", trained, "-s", "evaluate.skip=1")
    assert isinstance(result.exception, DataError)
    assert "held out" in str(result.exception)


def test_recommend_prints_titles_and_reasons_and_the_trace_is_kept(trained: Path, run: Run) -> None:
    shown = run("recommend", "u1", "-n", 3, "--dir", trained)
    assert shown.exit_code == 0, shown.output
    assert "Title" in shown.output
    request = shown.output.split("request ")[1].split()[0]
    told = run("trace", request, "--dir", trained)
    assert told.exit_code == 0, told.output
    assert "retrieval.itemcf" in told.output
    unknown = run("recommend", "somebody else", "--dir", trained)
    assert unknown.exit_code == 0
    assert "Title" in unknown.output


def test_recommend_all_writes_every_user(trained: Path, run: Run) -> None:
    out = trained / "recs.parquet"
    assert run("recommend", "--all", "--out", out, "-n", 5, "--dir", trained).exit_code == 0
    recs = pl.read_parquet(out)
    assert recs["user_id"].n_unique() == 40
    assert recs.group_by("user_id").len()["len"].unique().to_list() == [5]
    assert recs.select(pl.struct("user_id", "item_id").is_duplicated().any()).item() is False


def test_looking_from_the_terminal_is_not_an_exposure(trained: Path, run: Run) -> None:
    before = run("doctor", "--dir", trained).output
    run("recommend", "u2", "--dir", trained)
    assert (
        run("doctor", "--dir", trained).output.split("the log holds")[1][:12] == before.split("the log holds")[1][:12]
    )


def test_ingesting_twice_adds_nothing(trained: Path, run: Run) -> None:
    again = run("ingest", trained / "acts.csv", "--map", trained / "map.toml", "--dir", trained)
    assert again.exit_code == 0
    assert again.output.startswith("0 events appended")


def test_what_would_double_a_files_rows_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    events, mapping = write_events(tmp_path), tmp_path / "map.toml"
    first = ["ingest", events, "--map", mapping, "--dir", tmp_path]
    assert run(*first).exit_code == 0
    mapping.write_text(mapping.read_text().replace("at_least = 4", "at_least = 5"))
    assert "another mapping" in str(run(*first).exception)
    with events.open("a") as file:
        file.write("u1,i1,1700000000,3\n")
    assert "has changed" in str(run(*first).exception)
    assert run(*first, "--again").exit_code == 0


def test_a_file_of_nothing_but_rejects_is_an_error(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    (tmp_path / "x.csv").write_text("user_id,item_id,time_ms,kind\nu,i,never,click\n")
    assert "every row was rejected" in str(run("ingest", tmp_path / "x.csv", "--dir", tmp_path).exception)


def test_a_place_that_cannot_be_written_is_told_before_the_work(trained: Path, run: Run) -> None:
    for args in (["train", "--json"], ["evaluate", "--json"], ["recommend", "--all", "--out"]):
        failed = run(*args, trained / "no" / "where", "--dir", trained)
        assert "no folder" in str(failed.exception)


def test_a_user_and_everybody_at_once_is_refused(trained: Path, run: Run) -> None:
    out = trained / "x.parquet"
    assert "--out without --all" in str(run("recommend", "u1", "--out", out, "--dir", trained).exception)


def test_the_config_init_writes_serves_a_log_of_clicks_alone(tmp_path: Path, run: Run) -> None:
    """No likes, no author, no title: what init writes must do for what people have."""
    quick = template().replace("epochs = 8", "epochs = 1").replace("epochs = 6", "epochs = 1")
    (tmp_path / "feedmill.toml").write_text(quick.replace('clock = "wall"', 'clock = "log" '))
    rows = [f"u{k % 30},i{k * 7 % 41},{1_700_000_000_000 + k * 1000},click" for k in range(600)]
    (tmp_path / "x.csv").write_text("user_id,item_id,time_ms,kind\n" + "\n".join(rows) + "\n")
    assert run("ingest", tmp_path / "x.csv", "--dir", tmp_path).exit_code == 0
    assert run("train", "--dir", tmp_path).exit_code == 0
    shown = run("recommend", "u1", "-n", 3, "--dir", tmp_path)
    assert shown.exit_code == 0
    assert "degraded" not in shown.output


def test_bad_rows_are_told_and_kept(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    events = write_events(tmp_path)
    with events.open("a") as file:
        file.write("u1,,1700000000,3\nu1,i1,not a time,3\n")
    result = run("ingest", events, "--map", tmp_path / "map.toml", "--dir", tmp_path)
    assert "2 rejected" in result.output
    kept = "".join(p.read_text() for p in (tmp_path / "rejects").iterdir())
    assert "not a time" in kept


def test_doctor_finds_what_is_missing(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    fine = run("doctor", "--dir", tmp_path)
    assert fine.exit_code == 0
    assert "the log is empty" in fine.output
    (tmp_path / "feedmill.toml").write_text("[serve]\nport = -1\n")
    broken = run("doctor", "--dir", tmp_path)
    assert broken.exit_code == 1
    assert "port" in broken.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["recommend"], "no user"),
        (["recommend", "--all"], "--out"),
        (["train"], "feedmill init"),
        (["data", "import", "ml-100"], "ml-100k"),
        (["trace", "nothing"], "feedmill init"),
    ],
)
def test_wrong_arguments_say_what_to_do(args: list[str], said: str, tmp_path: Path) -> None:
    """Through the real entry point: no traceback, exit 1, and words."""
    done = subprocess.run(
        [sys.executable, "-m", "feedmill", *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert said in done.stderr


def test_an_empty_log_trains_nothing_and_says_so(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    result = run("train", "--dir", tmp_path)
    assert isinstance(result.exception, DataError)


def test_ctrl_c_ends_a_server_quietly(trained: Path) -> None:
    command = [sys.executable, "-m", "feedmill", "serve", "--dir", str(trained), "-s", "serve.port=0"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert server.stdout is not None
    assert "http://127.0.0.1:" in server.stdout.readline()
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=60)
    assert "Traceback" not in said
    assert server.returncode in (0, 130)
