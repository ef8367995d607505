"""GET /metrics, read back with the library's own parser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from feedmill.core import status
from feedmill.core.clock import FixedClock
from feedmill.core.protocols import Receipt
from feedmill.core.request import StageTrace, Trace
from feedmill.serve.engine import Engine
from feedmill.serve.metrics import STAGE_MS, Histogram, Metrics, family
from feedmill.serve.server import Server
from serve.world import Open

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def engine(opened: Open) -> Engine:
    return opened()


@contextmanager
def client(engine: Engine) -> Iterator[httpx.Client]:
    with Server(engine) as server, httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        yield http


@pytest.fixture
def http(engine: Engine) -> Iterator[httpx.Client]:
    with client(engine) as opened:
        yield opened


def scraped(http: httpx.Client) -> Samples:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert len({f.name for f in families}) == len(families)
    assert all(f.documentation for f in families)
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def value(samples: Samples, metric: str, /, **labels: str) -> float:
    return samples[metric, frozenset(labels.items())]


def test_feeds_and_stages_are_counted(http: httpx.Client, engine: Engine) -> None:
    for n in (2, 3):
        http.post("/v1/feed", json={"user_id": "u1", "n": n}).raise_for_status()
    http.post("/v1/feed", json={"user_id": "u1", "n": 0})
    found = scraped(http)
    assert value(found, "feedmill_http_requests_total", route="/v1/feed", status="200") == 2
    assert value(found, "feedmill_http_requests_total", route="/v1/feed", status="422") == 1
    assert value(found, "feedmill_http_request_seconds_count", route="/v1/feed") == 3
    assert value(found, "feedmill_feed_seconds_count") == 2
    assert value(found, "feedmill_items_shown_total") == 5
    assert value(found, "feedmill_feed_stage_seconds_count", stage="retrieval.itemcf") == 2
    assert value(found, "feedmill_feed_candidates_total", stage="slate", way="out") == 5
    assert value(found, "feedmill_feed_candidates_total", stage="exposure", way="out") == 5
    mine = [t for t in found if t[0] == "feedmill_feed_stage_seconds_bucket" and ("stage", "slate") in t[1]]
    assert len(mine) == len(STAGE_MS) + 1
    assert value(found, "feedmill_feed_stage_seconds_bucket", stage="slate", le="+Inf") == 2


def test_no_path_of_a_stranger_becomes_a_label(http: httpx.Client) -> None:
    http.get("/v1/similar/i1").raise_for_status()
    http.get("/v1/similar/a/b c")
    http.get("/v1/trace/there is none")
    http.get("/wp-admin")
    http.get("/v1/feed")
    routes = {dict(labels)["route"] for name, labels in scraped(http) if name == "feedmill_http_requests_total"}
    assert routes == {"/v1/similar/{item_id:path}", "/v1/trace/{request_id}", "/v1/feed", "none"}


def test_events_the_log_and_the_state(http: httpx.Client, engine: Engine) -> None:
    event = {"kind": "click", "user_id": "u1", "item_id": "i1", "event_id": "once"}
    before = engine.live.log.end
    for _ in range(2):
        http.post("/v1/events", json=event).raise_for_status()
    found = scraped(http)
    assert value(found, "feedmill_events_total", kind="new") == 1
    assert value(found, "feedmill_events_total", kind="duplicate") == 1
    assert value(found, "feedmill_log_end") == value(found, "feedmill_state_offset") == before + 1
    assert value(found, "feedmill_state_lag_events") == 0
    assert value(found, "feedmill_users") == 40
    assert value(found, "feedmill_items") == 60
    version = engine.model.served.pipeline.chain.version
    assert value(found, "feedmill_model_info", version=version) == 1
    assert value(found, "feedmill_traces_dropped_total") == 0


def test_what_feeds_had_to_do_without(http: httpx.Client) -> None:
    http.post("/v1/feed", json={"user_id": "u1", "n": 5, "deadline_ms": 0}).raise_for_status()
    found = scraped(http)
    assert value(found, "feedmill_degraded_total", what="retrieval.popular", reason="deadline") == 1
    assert value(found, "feedmill_degraded_total", what="fallback", reason="") == 1


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("rank: failed", ("rank", "failed")),
        ("retrieval.itemcf: not trained", ("retrieval.itemcf", "not trained")),
        ("experiments: rerank.rules.7.theta = 3", ("experiments", "")),
        ("rerank.fusion: no weight for click, like, so the ranker has no say", ("rerank.fusion", "")),
        ("nothing left to show", ("nothing left to show", "")),
    ],
)
def test_families_of_reasons_are_few(said: str, counted: tuple[str, str]) -> None:
    assert family(said) == counted


def test_status_files_become_gauges(http: httpx.Client, engine: Engine) -> None:
    join = {"waiting": 17.0, "samples": 1e6}
    status.report(engine.workspace, "join", offset=520, figures=join)
    status.report(engine.workspace, "guard", state="open", words=["clicks stopped"], clock=FixedClock(0))
    (engine.workspace.status / "broken.json").write_text("{")
    engine.tell()
    found = scraped(http)
    assert value(found, "feedmill_part_figure", part="join", name="waiting") == 17
    assert value(found, "feedmill_part_figure", part="join", name="samples") == 1e6
    assert value(found, "feedmill_part_offset", part="join") == 520
    assert value(found, "feedmill_part_ok", part="join", state="ok") == 1
    assert value(found, "feedmill_part_ok", part="guard", state="open") == 0
    assert value(found, "feedmill_part_ok", part="broken", state="unreadable") == 0
    assert value(found, "feedmill_part_age_seconds", part="join") < 60
    assert value(found, "feedmill_part_age_seconds", part="guard") > 1e9
    assert value(found, "feedmill_part_figure", part="serve", name="items") == 60
    assert value(found, "feedmill_part_offset", part="serve") == engine.state.offset


def test_each_engine_counts_for_itself(opened: Open) -> None:
    one, other = opened(), opened()
    one.recommend("u1", n=1)
    with client(one) as first, client(other) as second:
        assert value(scraped(first), "feedmill_feed_seconds_count") == 1
        assert value(scraped(second), "feedmill_feed_seconds_count") == 0


def test_exposures_count_what_acted_and_is_in_the_log() -> None:
    metrics = Metrics()
    trace = Trace(request_id="r", user_id="u", time_ms=0, experiments={"a": "x", "b": "y"}, acted={"a": "x"})
    metrics.feed(trace, exposed=True)
    metrics.feed(trace, exposed=False)
    metrics.append(Receipt(offset=3, n_new=2, n_duplicate=1))
    assert metrics.exposures == {("a", "x"): 1}
    assert metrics.n_feeds == 2
    assert metrics.events == {"new": 2, "duplicate": 1}


def test_a_histogram_by_hand() -> None:
    histogram = Histogram((1.0, 2.0, 5.0))
    for v in (0.5, 1.0, 1.5, 7.0):
        histogram.add(v)
    assert histogram.counts == [2, 1, 0, 1]
    assert histogram.sum == 10.0


def test_counting_a_feed_takes_no_time() -> None:
    stages = [StageTrace(stage=f"stage {k}", ms=0.1 * k, n_in=k, n_out=k) for k in range(20)]
    trace = Trace(request_id="r", user_id="u", time_ms=0, stages=stages, degraded=["rank: failed"], acted={"a": "x"})
    metrics, took = Metrics(), []
    for _ in range(200):
        start = perf_counter()
        metrics.feed(trace, exposed=True)
        took.append(perf_counter() - start)
    assert metrics.stages["stage 3"].ms.counts[3] == 200
    assert sorted(took)[100] < 1e-3, "a loose bound for machines that are busy; about 10 µs"


def test_a_label_with_odd_letters_is_told_right(engine: Engine) -> None:
    engine.metrics.feed(Trace(request_id="r", user_id="u", time_ms=0, acted={'two "words"\n\\': "ä"}), exposed=True)
    with client(engine) as http:
        found = scraped(http)
    assert value(found, "feedmill_experiment_exposures_total", experiment='two "words"\n\\', arm="ä") == 1


def test_what_serving_says_of_itself(engine: Engine) -> None:
    engine.problems["reload"] = "no such version"
    engine.tell()
    said: dict[str, Any] = json.loads((engine.workspace.status / "serve.json").read_bytes())
    assert said["part"] == "serve"
    assert said["state"] == "problems"
    assert said["words"] == ["reload: no such version"]
