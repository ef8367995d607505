"""Experiments where they act: through the engine and over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from feedmill.core.errors import ConfigError, NotFoundError, WorkspaceError
from feedmill.core.events import Kind
from feedmill.core.workspace import Workspace
from feedmill.experiments import Action
from feedmill.publish import current, promote, write
from feedmill.publish import load as load_artifact
from feedmill.serve.engine import Engine
from feedmill.serve.server import Server
from serve.world import Make, Open, ids, log_of, train

THETA = "rerank.rules.0.theta"
LAYERS = {"rerank": {"n_buckets": 100}, "retrieval": {"n_buckets": 100}, "model": {}}


def arms(path: str = THETA, value: Any = 0.0, **more: Any) -> dict[str, Any]:
    return {"control": {"share": 0.5}, "varied": {"share": 0.5, "set": {path: value}}, **more}


def defined(name: str = "spread", layer: str = "rerank", **more: Any) -> dict[str, Any]:
    return {f"experiments__defined__{name}": {"layer": layer, "arms": arms(**more)}, "experiments__layers": LAYERS}


def run(engine: Engine, name: str = "spread") -> None:
    engine.experiments.do(Action(action="create", name=name))
    engine.experiments.do(Action(action="start", name=name))


def user_in(engine: Engine, arm: str, name: str = "spread") -> str:
    return next(u for u in (f"u{i}" for i in range(40)) if engine.experiments.plan.assign(u).arms.get(name) == arm)


def of_rules(engine: Engine, name: str = "mmr") -> float:
    rules = dict(engine.model.served.pipeline.chain.rules)
    return float(rules[name].config.theta)


def exposures(engine: Engine, request_id: str) -> list[dict[str, Any]]:
    table = log_of(engine).table
    rows = zip(table["kind"].to_pylist(), table["request_id"].to_pylist(), table["payload"].to_pylist(), strict=True)
    return [json.loads(p) for kind, request, p in rows if kind == Kind.IMPRESSION and request == request_id]


def test_an_arm_changes_the_feed_and_trace_and_exposures_say_so(opened: Open) -> None:
    engine = opened(**defined())
    before = {u: ids(engine.recommend(u, expose=False)) for u in map("u{}".format, range(40))}
    run(engine)
    after = {u: ids(engine.recommend(u, expose=False)) for u in before}
    arm_of = {u: engine.experiments.plan.assign(u).arms["spread"] for u in before}
    assert all(after[u] == before[u] for u in before if arm_of[u] == "control")
    varied = [u for u in before if arm_of[u] == "varied"]
    assert sum(after[u] != before[u] for u in varied) > len(varied) / 2
    answer = engine.recommend(varied[0])
    assert answer.experiments == {"spread": "varied"}
    trace = engine.trace(answer.request_id)
    assert (trace.experiments, trace.acted) == ({"spread": "varied"}, {"spread": "varied"})
    assert [e["experiments"] for e in exposures(engine, answer.request_id)] == [{"spread": "varied"}] * len(
        answer.items
    )


def test_without_experiments_exposures_are_as_they_were(opened: Open) -> None:
    engine = opened()
    answer = engine.recommend("u1")
    assert answer.experiments == {}
    assert all(set(e) == {"version", "offset"} for e in exposures(engine, answer.request_id))


def test_an_experiment_whose_stage_failed_did_not_act(opened: Open) -> None:
    engine = opened(**defined(), serve__deadline_ms=10_000)
    run(engine)
    answer = engine.recommend(user_in(engine, "control"), deadline_ms=0)  # every stage that can be skipped is
    trace = engine.trace(answer.request_id)
    assert trace.experiments == {"spread": "control"}
    assert trace.acted == {}
    assert all("experiments" not in e for e in exposures(engine, answer.request_id))


@pytest.mark.parametrize("channel", [{}, {"retrieval__channels__swing": {"limit": 10}}])  # put in since the training
def test_what_every_arm_lacks_keeps_no_experiment_from_acting(opened: Open, channel: dict[str, Any]) -> None:
    of = {"layer": "retrieval", "arms": arms("retrieval.channels.popular.limit", 3)}
    more = {"experiments__defined__few": of, "rerank__fusion__finish": "length_adjusted"}
    engine = opened(**defined(), **channel, **more)
    run(engine)
    run(engine, "few")
    for user in (f"u{i}" for i in range(10)):
        trace = engine.trace(engine.recommend(user).request_id)
        assert any("finish-length" in what for what in trace.degraded)
        assert trace.acted == trace.experiments
        assert set(trace.acted) == {"spread", "few"}


def test_an_arm_that_a_newer_model_lacks_a_channel_for_does_not_act(opened: Open, make: Make) -> None:
    swing = {"limit": 10}
    workspace = make(**defined(layer="retrieval", path="retrieval.channels.swing", value=swing))
    old = current(workspace.artifacts)
    train(Workspace.open(workspace.path, {"retrieval.channels.swing": swing}))
    engine = opened(workspace)
    run(engine)
    user = user_in(engine, "varied")
    assert engine.trace(engine.recommend(user).request_id).acted == {"spread": "varied"}
    promote(workspace.artifacts, old or "")
    assert engine.reload()
    trace = engine.trace(engine.recommend(user).request_id)
    assert (trace.acted, trace.degraded) == ({}, ["retrieval.swing: not trained"])


def test_chains_share_what_an_arm_does_not_change(opened: Open) -> None:
    engine = opened(**defined())
    run(engine)
    base, varied = engine.model.served.pipeline.chain, engine.model.of({THETA: 0.0}).pipeline.chain
    assert varied.channels[0][0] is base.channels[0][0]
    assert dict(varied.rules)["mmr"].config.theta == 0.0
    assert of_rules(engine) == 0.8
    assert engine.model.of({THETA: 0.0}).pipeline.chain is varied


def test_arms_of_two_layers_are_combined(opened: Open) -> None:
    both = defined() | defined("few", "retrieval", path="retrieval.limit", value=5)
    engine = opened(**both)
    run(engine)
    run(engine, "few")
    user = next(
        u for u in map(str, range(200))
        if engine.experiments.plan.assign(u).arms == {"spread": "varied", "few": "varied"}
    )  # fmt: skip
    chain = engine.experiments.of(user).served.pipeline.chain
    assert chain.limit == 5
    assert dict(chain.rules)["mmr"].config.theta == 0.0


def test_an_arm_may_be_served_by_another_version(opened: Open, make: Make) -> None:
    workspace = make(experiments__layers=LAYERS)
    kept = load_artifact(workspace.artifacts)
    canary = write(workspace.artifacts, {"popular": kept.parts["popular"]}, dict(kept.about) | {"note": "canary"})
    engine = opened(workspace)
    definition = {"layer": "model", "arms": arms("publish.version", canary)}
    with pytest.raises(ConfigError, match="itemcf"):  # it lacks a channel that the config names
        engine.experiments.do(Action(action="create", name="canary", definition=_definition(definition)))
    whole = write(workspace.artifacts, dict(kept.parts), dict(kept.about) | {"note": "whole"})
    definition = {"layer": "model", "arms": arms("publish.version", whole)}
    engine.experiments.do(Action(action="create", name="canary", definition=_definition(definition)))
    engine.experiments.do(Action(action="start", name="canary"))
    assert engine.recommend(user_in(engine, "varied", "canary")).version == whole
    assert engine.recommend(user_in(engine, "control", "canary")).version == kept.version


def test_a_restart_has_the_same_arms(opened: Open, make: Make) -> None:
    workspace = make(**defined())
    with Engine.open(workspace, exclusive=True) as engine:
        run(engine)
        arms_then = [engine.experiments.plan.assign(f"u{i}").arms for i in range(40)]
        history = engine.experiments.plan.history
    again = opened(workspace)
    assert [again.experiments.plan.assign(f"u{i}").arms for i in range(40)] == arms_then
    assert again.experiments.plan.history == history
    workspace.experiments.unlink()
    assert opened(workspace).experiments.plan.history == history


def test_another_process_steps_are_followed(opened: Open, make: Make) -> None:
    workspace = make(**defined())
    serving, other = opened(workspace), opened(workspace)
    run(other)
    assert serving.recommend(user_in(other, "varied")).experiments == {"spread": "varied"}


def test_launch_holdout_and_reverse_bucket_through_the_feed(opened: Open) -> None:
    engine = opened(**defined(), experiments__holdout=0.3)
    run(engine)
    engine.experiments.do(Action(action="roll_out", name="spread", share=0.3))
    seen: dict[str, float] = {}
    for i in range(60):
        trace = engine.trace(engine.recommend(f"u{i}").request_id)
        chain = engine.experiments.of(f"u{i}").served.pipeline.chain
        seen[",".join(f"{k}={v}" for k, v in sorted(trace.acted.items()))] = dict(chain.rules)["mmr"].config.theta
    assert seen == {"holdout=in": 0.8, "holdout=out,spread=launched": 0.0, "holdout=out,spread=reverse": 0.8}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("rerank.rules.0.thetta", 0.5, "thetta"),
        ("rerank.rules.3.theta", 0.5, "rules.3.theta"),
        (THETA, 7, "theta"),
        ("rerank.fusion.weights.likee", 1.0, "likee"),
        ("retrieval.channels.itemcf.lastn", 3, "lastn"),
        ("retrieval.channels.swing", {"limit": 10}, "not trained"),
        ("train.two_tower.epochs", 3, "train"),
        ("log.kind", "memory", "log"),
        ("publish.version", "0123456789ab", "0123456789ab"),
        ("publish.version", "../..", "12 hex digits"),
    ],
)
def test_a_treatment_that_cannot_be_served_is_refused_before_the_log_has_it(
    opened: Open, path: str, value: Any, said: str
) -> None:
    engine = opened(experiments__layers=LAYERS)
    end = engine.live.log.end
    raw = {"layer": "rerank", "arms": arms(path, value)}
    with pytest.raises(ConfigError, match=said):
        engine.experiments.do(Action(action="create", name="spread", definition=_definition(raw)))
    assert engine.live.log.end == end
    assert engine.experiments.plan.experiments == {}


def test_steps_that_the_life_cycle_does_not_allow(opened: Open) -> None:
    engine = opened(**defined())
    with pytest.raises(NotFoundError):
        engine.experiments.do(Action(action="start", name="nothing"))
    run(engine)
    with pytest.raises(WorkspaceError, match="running"):
        engine.experiments.do(Action(action="start", name="spread"))


def test_a_layer_in_use_cannot_be_deleted(opened: Open, make: Make) -> None:
    workspace = make(**defined())
    with Engine.open(workspace) as engine:
        run(engine)
    raw = {**workspace.raw, "experiments": {"layers": {"model": {}}}}
    with pytest.raises(ConfigError, match="layer in use"):
        Engine.open(type(workspace)(workspace.path, raw))


@pytest.fixture
def http(opened: Open) -> Iterator[httpx.Client]:
    engine = opened(experiments__layers=LAYERS)
    engine.warm()
    with Server(engine) as server, httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


def test_a_whole_life_over_http(http: httpx.Client) -> None:
    created = http.post("/v1/experiments", json={"name": "spread", "layer": "rerank", "arms": arms(), "by": "ann"})
    assert created.status_code == 200, created.text
    assert created.json()["experiment"]["status"] == "created"
    assert http.post("/v1/experiments/spread/start", json={}).json()["experiment"]["status"] == "running"
    found = {}
    for i in range(40):
        answer = http.post("/v1/feed", json={"user_id": f"u{i}", "n": 10}).json()
        trace = http.get(f"/v1/trace/{answer['request_id']}").json()
        assert trace["experiments"] == answer["experiments"]
        found[answer["experiments"]["spread"]] = trace
    assert set(found) == {"control", "varied"}
    stages = {arm: [s["stage"] for s in trace["stages"]] for arm, trace in found.items()}
    assert stages["control"] == stages["varied"]
    assert (
        http.post("/v1/experiments/spread/roll_out", json={"share": 0.1}).json()["experiment"]["status"] == "launched"
    )
    overview = http.get("/v1/experiments").json()
    assert [e["name"] for e in overview["experiments"]] == ["spread"]
    assert overview["layers"]["rerank"]["free"] == [[0, 100]]
    one = http.get("/v1/experiments/spread").json()
    assert [s["action"]["action"] for s in one["history"]] == ["create", "start", "roll_out"]
    assert one["history"][0]["action"]["by"] == "ann"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("", {"layer": "rerank"}, 422, "name"),
        ("", {"name": "x", "layer": "rerank", "arm": {}}, 422, "arms"),
        ("", {"name": "x", "layer": "ranking", "arms": arms()}, 400, "rerank"),
        ("", {"name": "x", "layer": "rerank", "arms": {"control": {"buckets": [[0, 60]]}, "b": {"buckets": [[9, 99]]}}},
         400, "bucket"),
        ("", {"name": "X y", "layer": "rerank", "arms": arms()}, 400, "a-z"),
        ("", {"name": "x", "layer": "rerank", "arms": arms(value="high")}, 400, "theta"),
        ("/nothing/start", {}, 404, "nothing"),
        ("/nothing/begin", {}, 404, "begin"),
        ("/end_holdout", {}, 409, "holdout"),
        ("/nothing/roll_out", {"share": 0.9}, 400, "share"),
        ("/nothing/roll_out", [], 422, "object"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_reason(
    http: httpx.Client, path: str, body: Any, status: int, said: str
) -> None:
    answer = http.post(f"/v1/experiments{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text


def test_any_user_id_is_answered_or_refused(http: httpx.Client) -> None:
    http.post("/v1/experiments", json={"name": "spread", "layer": "rerank", "arms": arms()})
    http.post("/v1/experiments/spread/start", json={})
    one, same = (http.post("/v1/feed", json={"user_id": u}).json()["experiments"] for u in (7, "7"))
    assert one == same
    assert http.post("/v1/feed", json={"user_id": "张三 🎬"}).status_code == 200
    for bad in (None, 1.5, True, [], {"a": 1}, ""):
        assert http.post("/v1/feed", json={"user_id": bad}).status_code == 422


def _definition(raw: dict[str, Any]) -> Any:
    from feedmill.core.config import convert
    from feedmill.experiments import Definition

    return convert(raw, Definition)
