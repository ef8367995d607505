"""``feedmill report diversity`` on a workspace that has been through train, and on ones that have less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import SMALL, Run, write_events
from feedmill.cli.charts import canvas
from feedmill.cli.charts import diversity as charts
from feedmill.cli.reports import diversity_points as points_module
from feedmill.cli.reports.diversity import read, report_diversity
from feedmill.cli.reports.diversity_points import CONFIGURED, VALUE, Grid, Measure, costs, points, rule
from feedmill.core.errors import DataError, FeedmillError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.rerank.similarity import stretch
from feedmill.serve.fused import Asked, ask
from worlds import START_MS, tastes

FEW = ("--requests", 15, "--theta", 0.3, "--theta", 1, "--window", 3, "--window", 8, "-k", 4, "-k", 8)
RULED = """
[serve]
clock = "log"
[retrieval.channels]
popular = { limit = 30 }
two_tower = { kind = "vector", limit = 30 }
[train]
n_threads = 1
[train.two_tower]
epochs = 2
embedding_dim = 4
hidden_dims = [8, 4]
[prerank]
channel = "two_tower"
[rank]
kind = "none"
[[rerank.rules]]
kind = "mmr"
theta = 0.4
[[rerank.rules]]
kind = "window"
by = "author"
[[rerank.rules]]
kind = "slots"
at = [2]
"""


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 40)


def adverts() -> EventBatch:
    """Every fifth item becomes an advertisement."""
    ids, tags = [f"i{k}" for k in range(5, 61, 5)], {"topics": ["t1"], "author_id": "a0", "slot": "ad"}
    return EventBatch.of({"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": ids, "payload": json.dumps(tags)})


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A trained workspace with topics, authors, vectors and rules."""
    folder = tmp_path_factory.mktemp("ruled")
    (folder / "feedmill.toml").write_text(RULED)
    log = open_log(Workspace.open(folder))
    try:
        log.append(EventBatch.concat([tastes()[:60], adverts(), tastes()[60:]]))  # after the 60 items
    finally:
        log.close()
    done = run("train", "--dir", folder, "--no-evaluate")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def asked(ruled: Path) -> Asked:
    at = Workspace.open(ruled)
    artifact, replay, held = read(at)
    return ask(at, artifact, replay, held, 15, (4, 8), 0)


def test_tables_the_file_and_the_page(ruled: Path, tmp_path: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    out, file = tmp_path / "deep" / "out", tmp_path / "d.json"
    done = run("report", "diversity", "--dir", ruled, *FEW, "--out", out, "--json", file)
    assert done.exit_code == 0, done.output
    found = json.loads(file.read_text())
    assert {(p["rule"], p["theta"], p["window"], p["k"]) for p in found["points"]} == {
        (name, theta, window, k)
        for k in (4, 8)
        for name, thetas, windows in (
            (VALUE, [None], [None]), (CONFIGURED, [None], [None]),
            ("MMR", [0.3, 1], [3, 8]), ("DPP", [0.3, 1], [3, 8]), ("DPP quality", [None], [3, 8]),
        )
        for theta in thetas
        for window in windows
    }  # fmt: skip
    assert [(c["rule"], c["k"]) for c in found["costs"]] == [
        (rule, k) for k in (4, 8) for rule in ("1. mmr", "2. window", "3. slots")
    ]  # fmt: skip
    assert all(0 < x["p50_ms"] <= x["p99_ms"] for x in found["latency"])
    text = (out / "index.html").read_text("utf-8")
    shown = set(re.findall(r'<img src="([^"]+)" alt="[^"]{20,}"', text))
    assert shown == {f.name for f in out.iterdir()} - {"index.html"}
    assert shown >= {"kept-diversity.png", "ndcg-diversity.png", "latency.png"}
    assert "no item vectors" not in text
    assert "configured rule" in done.output
    assert max(map(len, done.output.splitlines())) <= 110


def test_value_alone_keeps_everything_and_theta_1_is_value_alone(ruled: Path, asked: Asked) -> None:
    found = points(Workspace.open(ruled), asked, Grid((0.0, 1.0), (5,), (4,)))
    by = {(p.rule, p.theta): p for p in found}
    alone = by[VALUE, None]
    assert alone.kept == 1
    assert alone.ndcg is not None
    for name in ("MMR", "DPP"):
        same, varied = by[name, 1.0], by[name, 0.0]
        assert (same.kept, same.ndcg, same.coverage, same.gini) == (1, alone.ndcg, alone.coverage, alone.gini)
        assert same.ndcg_more == (0, 0, 0)
        assert varied.kept < 1


def test_a_longer_slate_of_a_greedy_rule_begins_with_the_shorter(ruled: Path, asked: Asked) -> None:
    """What lets one call be measured at every k."""
    for name in points_module.KINDS:
        one = rule(Workspace.open(ruled), asked, name, 0.4, 3)
        for r in asked.requests:
            long, short = (one.apply(r.request, r.candidates, k).rows.tolist() for k in (12, 5))
            assert long[:5] == short


def test_kept_and_cost_by_hand(asked: Asked) -> None:
    """Each request's slate reversed from the tail: the share is of sums of stretched values."""
    slates = [np.array([2, 0], np.int32) for _ in asked.requests]
    kept = Measure(asked).kept(slates, 2)
    for share, r in zip(kept, asked.requests, strict=True):
        v = stretch(r.candidates.value).astype(float)
        assert share == pytest.approx((v[2] + v[0]) / (v[0] + v[1]))
    for c in costs(asked, Grid((), (), (4,))):
        place = int(c.rule[0]) - 1
        assert c.cost == pytest.approx(np.mean([r.ruled[4][place].cost for r in asked.requests]))
    adverts = [c for c in costs(asked, Grid((), (), (4,))) if c.rule == "3. slots"]
    assert adverts[0].changed > 0.5
    first = asked.requests[0]
    mmr = first.ruled[4][0]
    value = dict(zip(first.candidates.item.tolist(), first.candidates.value.tolist(), strict=True))
    assert mmr.cost == pytest.approx(
        first.candidates.value[:4].sum() - sum(value[i] for i in mmr.item.tolist()), abs=1e-5
    )


def test_users_are_asked_before_what_they_chose(asked: Asked) -> None:
    assert len(asked.requests) == 15
    assert all(len(r.held) for r in asked.requests)
    for r in asked.requests:
        assert (np.diff(r.candidates.value) <= 0).all()
        assert len(r.ruled[8][-1].item) == 8


def test_without_a_model_it_answers_and_says_so(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(SMALL)
    assert run("ingest", write_events(tmp_path), "--map", tmp_path / "map.toml", "--dir", tmp_path).exit_code == 0
    done = run("report", "diversity", "--dir", tmp_path, *FEW)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "no model yet" in words
    assert "no item vectors" in words
    assert "no [[rerank.rules]]" in words
    done = run("report", "diversity", "--dir", tmp_path, *FEW, "-s", "evaluate.split=none")
    assert done.exit_code == 0, done.output
    assert "Nothing is held out" in " ".join(done.output.split())


@pytest.mark.parametrize("wrong", [("--theta", "1.5"), ("--window", "0"), ("-k", "1"), ("--requests", "0")])
def test_wrong_numbers_are_refused_by_name(ruled: Path, run: Run, wrong: tuple[str, str]) -> None:
    refused = run("report", "diversity", "--dir", ruled, *wrong)
    assert refused.exit_code == 2
    assert wrong[0] in refused.output


def test_too_few_requests_and_another_split_are_said(ruled: Path, run: Run, tmp_path: Path) -> None:
    few = run("report", "diversity", "--dir", ruled, "--requests", 4)
    assert isinstance(few.exception, DataError)
    assert "4 requests" in str(few.exception)
    assert "raise --requests" in str(few.exception)
    other = run("report", "diversity", "--dir", ruled, "-s", "evaluate.split=global_time")
    assert isinstance(other.exception, DataError)
    assert "train again" in str(other.exception)
    assert isinstance(run("report", "diversity", "--dir", tmp_path / "nowhere").exception, FeedmillError)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="--out"):
        report_diversity(Workspace.open(ruled), Grid((1.0,), (5,), (4,)), 15, 0, tmp_path / "file", None)


def test_a_log_without_topics_or_vectors_has_no_curve(tmp_path: Path) -> None:
    made: dict[str, Any] = {"ndcg": None, "ndcg_more": None, "vectors": None, "topics": None, "gini": None}
    made |= {"n_topics": 0.0, "n_authors": 0.0, "coverage": 0.1}
    plain = points_module.Point(rule=VALUE, theta=None, window=None, k=4, kept=1.0, **made)
    assert charts.curves([plain], 4, 10, tmp_path) == []
    assert charts.windows([plain], 4, 0.7, tmp_path) == []
