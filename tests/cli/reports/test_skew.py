"""feedmill report skew, as somebody runs it every night."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from cli.conftest import Run
from feedmill.core.request import Trace
from feedmill.core.status import statuses
from feedmill.core.workspace import Workspace
from feedmill.log.traces import open_to_write, read_traces, write
from feedmill.serve.engine import Engine
from ranked_worlds import factored, ranked
from rankers import trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that has answered ten requests."""
    workspace = ranked(tmp_path_factory.mktemp("served") / "feed", factored(trained(epochs=1)))
    with Engine.open(workspace) as engine:
        for k in range(10):
            engine.recommend(f"u{k + 1}", n=5)
            engine.follow()
    return workspace


def rewritten(workspace: Workspace, traces: list[Trace]) -> None:
    connection = open_to_write(workspace.traces)
    write(connection, traces, 100)
    connection.close()


def test_no_skew_is_exit_0(served: Workspace, run: Run, tmp_path: Path) -> None:
    result = run("report", "skew", "--dir", served.path, "--json", tmp_path / "skew.json")
    assert result.exit_code == 0, result.output
    assert "10 requests, 50 items shown" in result.output
    assert "0 rows differ (0.000%, limit 0.100%)" in result.output
    figures = json.loads((tmp_path / "skew.json").read_bytes())
    assert (figures["rows"], figures["differing"]) == (50, 0)
    assert {x["feature"] for x in figures["scores"]} == {"click", "like"}
    status = statuses(served)["skew"]
    assert (status.state, status.words) == ("ok", [])
    assert status.figures["rows"] == 50
    assert status.figures["differing_share"] == 0


def test_skew_is_exit_1_and_says_where(served: Workspace, run: Run) -> None:
    traces = list(read_traces(served.traces))
    kept = traces[0].features
    assert kept is not None
    authors = [[(row[0] or 0) + 1] for row in kept.items["author"]]
    tampered = msgspec.structs.replace(kept, items={**kept.items, "author": authors})
    rewritten(served, [msgspec.structs.replace(traces[0], features=tampered), *traces[1:]])
    try:
        result = run("report", "skew", "--dir", served.path)
        assert result.exit_code == 1, result.output
        assert "5 rows differ (10.000%" in result.output
        assert "author" in result.output
        assert traces[0].request_id[:8] in result.output
        status = statuses(served)["skew"]
        assert (status.state, status.words) == ("skew", ["item author"])
        assert status.figures["differing_features"] == 1
        assert run("report", "skew", "--dir", served.path, "--limit", "0.1").exit_code == 0, "at most the limit"
    finally:
        rewritten(served, traces)


def test_a_workspace_that_has_kept_nothing(run: Run, tmp_path: Path) -> None:
    Workspace.create(tmp_path / "feed", "")
    result = run("report", "skew", "--dir", tmp_path / "feed")
    assert result.exit_code == 0, result.output
    assert "nothing to compare" in result.output
