from __future__ import annotations

import tomllib

import pytest

from feedmill.cli.tune_fusion import parsed_target, toml
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.metrics.intervals import Interval
from feedmill.rerank.fusion import FusionConfig
from feedmill.rerank.fusion_search import Found

SOME = Interval(0.5, 0.4, 0.6, 30)


def found(*, is_better: bool) -> Found:
    tried = {"click": 0.2, "like": 1.0, "share": 0.0}
    weights = tried if is_better else dict.fromkeys(tried, 1.0)
    return Found(weights, tried, SOME, SOME, SOME, is_better)


def test_targets_are_read() -> None:
    assert parsed_target("like=5, watch_s=0.1") == {"like": 5.0, "watch_s": 0.1}
    assert parsed_target("finish") == {"finish": 1.0}
    assert parsed_target("") == {}
    with pytest.raises(ConfigError, match="--target like=much"):
        parsed_target("like=much")


def test_what_is_printed_can_be_pasted() -> None:
    printed = toml(found(is_better=True), FusionConfig(form="product"))
    config = convert(tomllib.loads(printed)["rerank"]["fusion"], FusionConfig)
    assert config.weights == {"click": 0.2, "like": 1.0}
    assert config.form == "product"
    assert tomllib.loads(toml(found(is_better=False), FusionConfig())) == {}
