"""``feedmill report features`` on a stranger's log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import SMALL, Run, write_events
from feedmill.core.errors import DataError, FeedmillError


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "feedmill.toml").write_text(SMALL)
    assert run("ingest", write_events(folder), "--map", folder / "map.toml", "--dir", folder).exit_code == 0
    return folder


def test_the_most_drifted_come_first_in_the_table_and_in_the_file(shop: Path, run: Run) -> None:
    shown = run("report", "features", "--dir", shop, "--json", shop / "features.json", "--top", 5)
    assert shown.exit_code == 0, shown.output
    assert "consumed items, the first" in shown.output
    lines = json.loads((shop / "features.json").read_text())
    assert {"name", "known", "used", "distinct", "quantiles", "drift", "moved", "noise"} <= set(lines[0])
    assert [x["drift"] for x in lines] == sorted((x["drift"] for x in lines), reverse=True)
    rows = shown.output.splitlines()[2:]
    assert [row.split()[0] for row in rows if row.strip()] == [x["name"] for x in lines[:5]]
    assert {"user", "item", "clicked_3", "item.click.1d", "cross.author_last_s"} <= {x["name"] for x in lines}


def test_settings_change_what_is_asked_for(shop: Path, run: Run) -> None:
    out = shop / "more.json"
    more = run("report", "features", "--dir", shop, "-s", "features.activity=true", "--json", out)
    assert more.exit_code == 0, more.output
    assert "since.last_s" in {x["name"] for x in json.loads(out.read_text())}


@pytest.mark.parametrize("wrong", [("--at", "1.5"), ("--at", "half"), ("--rows", "3"), ("--top", "-1")])
def test_wrong_numbers_are_refused_by_name(shop: Path, run: Run, wrong: tuple[str, str]) -> None:
    refused = run("report", "features", "--dir", shop, *wrong)
    assert refused.exit_code == 2
    assert wrong[0] in refused.output


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path, shop: Path, run: Run) -> None:
    assert isinstance(run("report", "features", "--dir", tmp_path / "nowhere").exception, FeedmillError)
    unwritable = run("report", "features", "--dir", shop, "--json", tmp_path / "no" / "x.json")
    assert isinstance(unwritable.exception, DataError)
    (tmp_path / "feedmill.toml").write_text(SMALL)
    empty = run("report", "features", "--dir", tmp_path)
    assert isinstance(empty.exception, FeedmillError)
    assert "requests in the log" in str(empty.exception)
