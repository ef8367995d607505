from __future__ import annotations

import pytest

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.publish.gate import Gate, PublishConfig, reasons


def test_ratios_in_both_directions() -> None:
    gate = Gate(at_least={"auc": 0.99}, at_most={"log_loss": 1.05})
    now = {"auc": 0.70, "log_loss": 0.50}
    assert reasons(gate, {"auc": 0.694, "log_loss": 0.524}, now) == []
    assert reasons(gate, {"auc": 0.692, "log_loss": 0.526}, now) == [
        "auc = 0.692 is 1.1% below 0.7 of the current version, at least 0.693 needed",
        "log_loss = 0.526 is 5.2% above 0.5 of the current version, at most 0.525 needed",
    ]


def test_dotted_names_reach_into_nested_metrics() -> None:
    gate = Gate(at_least={"rank.ndcg": 1.0})
    assert reasons(gate, {"rank": {"ndcg": 0.2}}, {"rank": {"ndcg": 0.3}})
    assert reasons(gate, {"rank.ndcg": 0.3}, {"rank": {"ndcg": 0.3}}) == []


@pytest.mark.parametrize("new", [{}, {"auc": None}, {"auc": float("nan")}, {"auc": "high"}, {"auc": {"x": 1}}])
def test_a_metric_that_is_missing_refuses(new: dict[str, object]) -> None:
    told = reasons(Gate(at_least={"auc": 0.9}), new, {"auc": 0.5}, "3f9a1c07b2de")
    assert told == ["auc is missing or not finite; version 3f9a1c07b2de has 0.5"]
    assert reasons(Gate(least={"auc": 0.6}), new, {}) == ["auc is missing or not finite, at least 0.6 needed"]


def test_bounds_hold_whatever_the_current_version_has() -> None:
    gate = Gate(least={"auc.click": 0.6}, most={"pcoc.*": 1.2})
    new = {"auc": {"click": 0.57}, "pcoc": {"click": 1.5, "like": 1.1}}
    assert reasons(gate, new, new) == [
        "auc.click = 0.57 is 5.0% below the bound, at least 0.6 needed",
        "pcoc.click = 1.5 is 25.0% above the bound, at most 1.2 needed",
    ]


def test_the_defaults_look_at_metrics_calibration_and_latency() -> None:
    now = {"auc": {"click": 0.8}, "ne": {"click": 0.9}, "pcoc": {"click": 1.0}, "run": {"score_ms": {"p99": 5.0}}}
    assert reasons(Gate(), now, now) == []
    assert reasons(Gate(), {}, {}) == [], "what was not measured is not judged by a pattern"
    worse = {"auc": {"click": 0.7}, "ne": {"click": 0.95}, "pcoc": {"click": 0.6}, "run": {"score_ms": {"p99": 300.0}}}
    assert [told.split(" ")[0] for told in reasons(Gate(), worse, now)] == [
        "auc.click", "ne.click", "pcoc.click", "run.score_ms.p99",
    ]  # fmt: skip
    assert reasons(Gate(), {**now, "ne": {}}, now) == ["ne.click is missing or not finite; the current version has 0.9"]


def test_against_zero_the_distance_is_told() -> None:
    assert reasons(Gate(most={"gap": 0.0}), {"gap": 0.25}, {}) == [
        "gap = 0.25 is 0.25 above the bound, at most 0 needed"
    ]


def test_there_may_be_nothing_to_hold_it_against() -> None:
    assert reasons(Gate(at_least={"auc": 0.9}), {"auc": 0.1}, {}) == []


def test_below_zero_a_ratio_still_allows_a_small_loss_only() -> None:
    gate = Gate(at_least={"gain": 0.9})
    assert reasons(gate, {"gain": -1.05}, {"gain": -1.0}) == []
    assert reasons(gate, {"gain": -1.2}, {"gain": -1.0})


def test_the_section_is_checked() -> None:
    config = convert({"keep": 3, "gate": {"at_least": {"rank.ndcg_at_10": 0.98}}}, PublishConfig, "publish")
    assert config.gate.at_least == {"rank.ndcg_at_10": 0.98}
    with pytest.raises(ConfigError, match="at_last"):
        convert({"gate": {"at_last": {}}}, PublishConfig, "publish")
    with pytest.raises(ConfigError, match="-1"):
        convert({"gate": {"at_least": {"auc": -1}}}, PublishConfig, "publish")


def test_what_may_be_chance_is_let_through() -> None:
    gate, now = Gate(at_least={"auc.*": 0.97}, least={"auc.click": 0.5}), {"auc": {"click": 0.6}}
    assert reasons(gate, {"auc": {"click": 0.55}}, now)
    assert reasons(gate, {"auc": {"click": 0.55}, "error": {"auc": {"click": 0.05}}}, now) == []
    assert reasons(gate, {"auc": {"click": 0.55}, "error": {"auc": {"click": 0.01}}}, now)
    assert reasons(gate, {"auc": {"click": 0.45}, "error": {"auc": {"click": 0.2}}}, now), "a bound is a bound"
    less = Gate(at_most={"ne.*": 1.0})
    assert reasons(less, {"ne": {"a": 0.93}, "error": {"ne": {"a": 0.05}}}, {"ne": {"a": 0.9}}) == []
    assert reasons(less, {"ne": {"a": 0.96}, "error": {"ne": {"a": 0.05}}}, {"ne": {"a": 0.9}})
