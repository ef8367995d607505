"""What a config may say, and the reasons it is refused for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from experiments.life import config
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.experiments import ExperimentsConfig

CONTROL = {"share": 0.5}


def defined(**arms: Any) -> dict[str, Any]:
    """A config with one definition of these arms."""
    return {"layers": {"rerank": {"n_buckets": 10}}, "defined": {"a": {"layer": "rerank", "arms": arms}}}


def sets(**changes: Any) -> dict[str, Any]:
    return defined(control=CONTROL, b={"share": 0.5, "set": {k.replace("__", "."): v for k, v in changes.items()}})


def metrics(*names: str) -> dict[str, Any]:
    raw = defined(control=CONTROL, b={"share": 0.5})
    raw["defined"]["a"]["metrics"] = names
    return raw


def test_an_empty_section_is_a_config_without_experiments() -> None:
    empty = convert({}, ExperimentsConfig)
    assert (empty.holdout, empty.layers, empty.defined) == (0.0, {}, {})


def test_the_page_of_the_documentation_has_a_config_that_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text("utf-8")
    raw = tomllib.loads(page.partition("```toml")[2].partition("```")[0])
    made = config(**raw["experiments"])
    assert made.defined["spread"].arms["varied"].set == {"rerank.rules.0.theta": 0.5}
    assert set(made.layers) == {"retrieval", "rerank"}


def test_a_layer_has_its_name_as_its_salt_unless_it_says_otherwise() -> None:
    made = config(layers={"a": {}, "b": {"salt": "again", "n_buckets": 2}})
    assert (made.layer("a").salt, made.layer("a").n_buckets) == ("a", 1000)
    assert (made.layer("b").salt, made.layer("b").n_buckets) == ("again", 2)


def test_arms_name_their_share_or_their_buckets() -> None:
    made = config(**defined(control={"buckets": [[0, 3], [5, 6]]}, b={"share": 0.6}))
    assert made.defined["a"].arms["control"].buckets == ((0, 3), (5, 6))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"holdout": 0.6}, "experiments.holdout = 0.6"),
        ({"holdot": 0.1}, 'did you mean "holdout"'),
        ({"holdout": 0.00001}, "at least 0.0001"),
        (metrics("click_rat"), 'did you mean "click_rate"'),
        (metrics("dau"), '"dau" is none of users'),
        ({"layers": {"rerank": {"n_buckets": 1}}}, "experiments.layers.rerank.n_buckets = 1"),
        ({"layers": {"rerank": {"n_buckets": 100_001}}}, "n_buckets = 100001"),
        ({"layers": {"rerank": {"bukets": 10}}}, 'unknown key "experiments.layers.rerank.bukets"'),
        ({"layers": {"Re rank": {}}}, 'name "Re rank"'),
        ({"layers": {"holdout": {}}}, 'any but "holdout"'),
        ({"layers": {"launch.a": {}}}, "launch"),
        ({"layers": {"x" * 65: {}}}, "1 to 64"),
        ({"defined": {"holdout": {"layer": "rank", "arms": {}}}}, 'any but "holdout"'),
        (defined(control=CONTROL), "two at least"),
        (defined(), "two at least"),
        (defined(a=CONTROL, b=CONTROL), 'control = "control"'),
        (defined(control=CONTROL, b={"shar": 0.5}), 'arms.b.shar"[\\s\\S]*did you mean "share"'),
        (defined(control=CONTROL, b={"share": 1.5}), r"arms.b.share = 1.5"),
        (defined(control=CONTROL, b={}), "neither share nor buckets"),
        (defined(control=CONTROL, b={"share": 0.1, "buckets": [[0, 1]]}), "share and buckets"),
        (defined(control=CONTROL, b={"share": 0.6}), "add up to 1.1"),
        (defined(control=CONTROL, b={"share": 0.01}), "at least 0.1, one of 10 buckets"),
        (defined(control={"buckets": [[0, 8]]}, b={"share": 0.3}), "11 buckets"),
        (defined(control={"buckets": [[0, 5]]}, b={"buckets": [[4, 7]]}), "buckets 4 are in control and in b"),
        (defined(control={"buckets": [[0, 5], [2, 3]]}, b={"share": 0.1}), "buckets 2 are in control and in control"),
        (defined(control=CONTROL, b={"buckets": [[8, 11]]}), r"\[8, 11\)[\s\S]*<= 10"),
        (defined(control=CONTROL, b={"buckets": [[-1, 2]]}), r"\[-1, 2\)"),
        (defined(control=CONTROL, b={"buckets": [[3, 3]]}), r"\[3, 3\)"),
        (defined(control=CONTROL, b={"buckets": [[1, 2, 3]]}), "length 2"),
        (defined(control=CONTROL, launched=CONTROL), "not launched or reverse"),
        (defined(control=CONTROL, **{"B!": CONTROL}), "the name"),
        (sets(rank__epochs=3), "as it was trained"),
        (sets(train__two_tower__epochs=3), "training makes one model"),
        (sets(log__kind="memory"), "the same for everyone"),
        (sets(state__tau="1h"), "the same for everyone"),
        (sets(serve__port=80), "the same for everyone"),
        (sets(publish__keep=1), "one of"),
        (sets(experiments__holdout=0), "does not change experiments"),
        (sets(rerank=1), "one of"),
        (sets(rerank____theta=1), "one of"),
        (sets(rerank__fusion={}, rerank__fusion__like=1), "each setting once"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place_and_reason(raw: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        config(**raw)
    assert caught.value.expected


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    raw = defined(control=CONTROL, b=CONTROL)
    raw["defined"]["a"]["layer"] = "rernk"
    with pytest.raises(ConfigError, match=r'experiments.defined.a.layer = "rernk"[\s\S]*did you mean "rerank"'):
        config(**raw)


@pytest.mark.parametrize(
    "path", ["retrieval.channels.swing.limit", "filters.seen", "prerank.keep", "rerank.rules.0.theta",
             "rerank.fusion.weights.like", "serve.deadline_ms", "publish.version"],
)  # fmt: skip
def test_what_serving_reads_for_each_request_can_be_set(path: str) -> None:
    assert config(**sets(**{path.replace(".", "__"): 1})).defined["a"].arms["b"].set == {path: 1}


def test_definitions_of_one_layer_may_claim_the_same_buckets_as_long_as_nobody_creates_both() -> None:
    raw = defined(control={"buckets": [[0, 5]]}, b={"buckets": [[5, 10]]})
    raw["defined"]["again"] = raw["defined"]["a"]
    assert set(config(**raw).defined) == {"a", "again"}
