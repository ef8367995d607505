from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert, override
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Workspace
from feedmill.rerank import FusionConfig, check, fuse
from feedmill.retrieval import merge

LOWEST = np.finfo(np.float32).min


def scored(**heads: list[float]) -> CandidateBatch:
    n = len(next(iter(heads.values())))
    batch = CandidateBatch.of("any", range(1, n + 1), np.zeros(n, np.float32))
    return batch.with_scores(list(heads), np.array(list(heads.values()), np.float32).T)


def test_sum() -> None:
    config = FusionConfig(weights={"click": 1.0, "like": 5.0})
    assert fuse(scored(click=[0.2, 0.4], like=[0.1, 0]), config).tolist() == pytest.approx([0.7, 0.4])


def test_product() -> None:
    config = FusionConfig(form="product", offset=0.5, weights={"click": 2.0, "like": -1.0})
    values = fuse(scored(click=[0.5, 0], like=[0.5, 0.3]), config)
    assert values.tolist() == pytest.approx([1.0, 0.25 / 0.8])


@pytest.mark.parametrize("form", ["sum", "product"])
def test_without_weights_every_head_of_the_ranker_counts_alike(form: str) -> None:
    batch = scored(prerank=[9, 9, 0], click=[0.1, 0.2, 0.3], like=[0.3, 0.2, 0.2])
    values = fuse(batch, convert({"form": form}, FusionConfig))
    expected = [0.4, 0.4, 0.5] if form == "sum" else [1.1 * 1.3, 1.2 * 1.2, 1.3 * 1.2]
    assert values.tolist() == pytest.approx(expected)


def test_prerank_counts_where_it_is_given_a_weight() -> None:
    config = FusionConfig(weights={"prerank": 0.5, "click": 1.0})
    assert fuse(scored(prerank=[1], click=[0.25]), config).tolist() == [0.75]


@pytest.mark.parametrize("form", ["sum", "product"])
def test_a_missing_score_sinks(form: str) -> None:
    batch = scored(click=[0.1, np.nan, np.inf], like=[0.1, 0.9, 0.1])
    values = fuse(batch, convert({"form": form}, FusionConfig))
    assert np.isfinite(values).all()
    assert values[1] == values[2] == LOWEST < values[0]


def test_a_product_of_a_negative_number_sinks() -> None:
    config = FusionConfig(form="product", offset=0, weights={"click": 0.5})
    assert fuse(scored(click=[-1, 4]), config).tolist() == [LOWEST, 2]


def test_without_a_ranker_the_prerank_score_is_the_value() -> None:
    values = fuse(scored(prerank=[0.3, np.nan]), FusionConfig(weights={"click": 1.0}))
    assert values.tolist() == [pytest.approx(0.3), LOWEST]


def test_without_any_score_channels_ranks_are_fused() -> None:
    a, b = CandidateBatch.of("a", [1, 2], [9.0, 8.0]), CandidateBatch.of("b", [3, 2], [0.2, 0.1])
    merged = merge([a, b], 10)
    values = dict(zip(merged.item.tolist(), fuse(merged, FusionConfig()).tolist(), strict=True))
    assert values == pytest.approx({1: 1 / 61, 2: 2 / 62, 3: 1 / 61})


def test_nothing_fuses_to_nothing() -> None:
    assert len(fuse(CandidateBatch.of("a", [], []), FusionConfig())) == 0
    assert len(fuse(scored(click=[]), FusionConfig())) == 0


def test_an_unknown_head_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'no head "clik"') as raised:
        check(FusionConfig(weights={"clik": 1.0}), ("click", "like"))
    assert 'did you mean "click"?' in str(raised.value)
    check(FusionConfig(weights={"click": 1.0}), ("click", "like"))


def test_the_weight_of_a_head_that_the_log_does_not_have_has_no_effect() -> None:
    batch = scored(click=[0.2, 0.4])
    assert fuse(batch, FusionConfig(weights={"click": 1.0, "like": 5.0})).tolist() == pytest.approx([0.2, 0.4])


def test_without_a_head_the_value_of_a_weighted_merge_stands() -> None:
    found = CandidateBatch.of("any", [1, 2], [9, 1]).with_value(np.array([0.25, 0.75], np.float32))
    assert fuse(found, FusionConfig()).tolist() == [0.25, 0.75]
    scored = found.with_scores(["prerank"], np.array([[3], [2]], np.float32))
    assert fuse(scored, FusionConfig()).tolist() == [3, 2]


def test_every_weight_can_be_set_from_outside() -> None:
    """As ``-s rerank.fusion.weights.like=0.8`` and an experiment's override do."""
    raw = {"rerank": {"fusion": {"weights": {"click": 1.0}}}}
    changes = {"rerank.fusion.weights.like": 0.8, "rerank.fusion.form": "product", "rerank.fusion.offset": 0.5}
    config = Workspace(Path(), override(raw, changes)).section("rerank.fusion", FusionConfig)
    assert config.weights == {"click": 1.0, "like": 0.8}
    values = fuse(scored(click=[0.5], like=[0.5]), config)
    assert values.tolist() == [pytest.approx(1.0)]
    with pytest.raises(ConfigError, match=r"rerank\.fusion\.weights"):
        Workspace(Path(), override(raw, {"rerank.fusion.weights.like": "much"})).section("rerank.fusion", FusionConfig)
    with pytest.raises(ConfigError, match="finish"):
        Workspace(Path(), override(raw, {"rerank.fusion.finish": "short"})).section("rerank.fusion", FusionConfig)


def test_a_head_of_weight_0_has_no_say_even_where_it_is_missing() -> None:
    config = FusionConfig(weights={"click": 1.0, "like": 0.0})
    assert fuse(scored(click=[0.2, 0.4], like=[np.nan, 0.9]), config).tolist() == pytest.approx([0.2, 0.4])
