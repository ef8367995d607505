"""``feedmill report ranking``: where the ranker is right, of impressions it has not learned from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from shown_worlds import impressions
from worlds import tastes

TOML = """
[retrieval.channels.popular]
[rank]
kind = "lr"
embedding_dim = 4
epochs = 1
[features]
histories = {}
[train]
n_threads = 1
[evaluate]
split = "global_time"
"""


def made(folder: Path, *, shown: bool) -> Path:
    (folder / "feedmill.toml").write_text(TOML)
    log = open_log(Workspace.open(folder))
    try:
        log.append(impressions(3000, rate=0.3)[0] if shown else tastes())
    finally:
        log.close()
    return folder


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("feed"), shown=True)


@pytest.mark.slow
def test_a_line_for_all_rows_and_one_for_each_bucket(feed: Path, run: Run) -> None:
    done = run("report", "ranking", "--dir", feed, "--by", "item.topic", "--head", "click", "--json", feed / "x.json")
    assert done.exit_code == 0, done.output
    rows = {(r["what"], r["metric"]): r for r in json.loads((feed / "x.json").read_text())}
    assert {what for what, _ in rows} == {f"click, item.topic: {name}" for name in ("all", "t0", "t1")}
    assert {metric for _, metric in rows} == {"log loss", "NE", "AUC", "GAUC", "ECE", "PCOC"}
    of_all = rows["click, item.topic: all", "AUC"]
    assert of_all["low"] < of_all["value"] < of_all["high"]
    assert "t1" in done.output
    assert f"{of_all['value']:.4f}" in done.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "said"),
    [(("--by", "item.topik"), "did you mean"), (("--head", "klick"), "did you mean"), (("--buckets", "0"), "buckets")],
)
def test_what_there_is_not_is_named(feed: Path, run: Run, wrong: tuple[str, str], said: str) -> None:
    done = run("report", "ranking", "--dir", feed, *wrong)
    assert done.exit_code != 0
    assert said in f"{done.output} {done.exception}"


def test_a_log_without_impressions_or_a_workspace_without_a_ranker(tmp_path: Path, run: Run) -> None:
    folder = made(tmp_path, shown=False)
    assert isinstance(run("report", "ranking", "--dir", folder).exception, DataError)
    assert isinstance(run("report", "ranking", "--dir", folder, "-s", 'rank={kind="none"}').exception, ConfigError)
