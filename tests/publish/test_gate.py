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
        "auc = 0.692, at least 0.693 needed",
        "log_loss = 0.526, at most 0.525 needed",
    ]


def test_dotted_names_reach_into_nested_metrics() -> None:
    gate = Gate(at_least={"rank.ndcg": 1.0})
    assert reasons(gate, {"rank": {"ndcg": 0.2}}, {"rank": {"ndcg": 0.3}})
    assert reasons(gate, {"rank.ndcg": 0.3}, {"rank": {"ndcg": 0.3}}) == []


@pytest.mark.parametrize("new", [{}, {"auc": None}, {"auc": float("nan")}, {"auc": "high"}, {"auc": {"x": 1}}])
def test_a_metric_that_is_missing_refuses(new: dict[str, object]) -> None:
    assert reasons(Gate(at_least={"auc": 0.9}), new, {"auc": 0.5}) == ["auc is missing or not finite"]


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
