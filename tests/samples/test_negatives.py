from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.samples.negatives import SHOWN, NegativesConfig, Sampler, sampler

COUNT = np.array([99, 16, 1, 0, 81, 1])  # row 0 is nothing, whatever its count


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("uniform", [0, 0.2, 0.2, 0.2, 0.2, 0.2]),
        ("popular", [0, 8 / 37, 1 / 37, 0, 27 / 37, 1 / 37]),
        ("in_batch", [0, 16 / 99, 1 / 99, 0, 81 / 99, 1 / 99]),
        # ranks of items 4, 1, 2, 5, 3: log((k + 2) / (k + 1)) / log 6
        ("log_uniform", [0, np.log(3 / 2) / np.log(6), np.log(4 / 3) / np.log(6), np.log(6 / 5) / np.log(6),
                         np.log(2) / np.log(6), np.log(5 / 4) / np.log(6)]),
    ],
)  # fmt: skip
def test_probabilities_by_hand(source: str, expected: list[float]) -> None:
    np.testing.assert_allclose(sampler(source, COUNT).p, expected, atol=1e-12)


@pytest.mark.parametrize("source", ["uniform", "popular", "log_uniform", "in_batch"])
def test_draws_are_as_frequent_as_log_q_says(source: str) -> None:
    """Chi squared over 100,000 draws stays below its 99.99 % point for 5 degrees of freedom."""
    one, n = sampler(source, COUNT), 100_000
    drawn = np.bincount(one.draw(rng(0, source), n).ravel(), minlength=6)
    expected = one.p * n
    assert (drawn[expected == 0] == 0).all()
    some = expected > 0
    assert ((drawn - expected)[some] ** 2 / expected[some]).sum() < 25.7
    np.testing.assert_allclose(np.exp(one.log_q(np.flatnonzero(some))), one.p[some], rtol=1e-6)


def test_exponents_go_from_uniform_over_all_to_popularity() -> None:
    np.testing.assert_allclose(sampler("popular", COUNT, 0.0).p, sampler("uniform", COUNT).p)
    np.testing.assert_allclose(sampler("popular", COUNT, 1.0).p, sampler("in_batch", COUNT).p)


def test_an_item_that_is_never_drawn_has_a_finite_log_q() -> None:
    one = sampler("popular", COUNT)
    assert one.log_q(np.array([3, 2])).tolist() == [pytest.approx(np.log(1 / 37))] * 2


def test_draws_repeat_and_have_the_shape_that_was_asked_for() -> None:
    one = sampler("popular", COUNT)
    assert one.draw(rng(1, "x"), 3, 4).shape == (3, 4)
    np.testing.assert_array_equal(one.draw(rng(1, "x"), 50), one.draw(rng(1, "x"), 50))


@pytest.mark.parametrize("count", [[], [0], [5]])
def test_an_empty_catalogue_draws_nothing(count: list[int]) -> None:
    assert sampler("uniform", np.array(count)).draw(rng(0, "x"), 2).tolist() == [0, 0]


def test_a_catalogue_nobody_chose_from_is_drawn_uniformly() -> None:
    np.testing.assert_allclose(sampler("popular", np.zeros(5, np.int64)).p, [0, 0.25, 0.25, 0.25, 0.25])
    assert Sampler.of(np.zeros(3)).draw(rng(0, "x"), 100).min() == 1


def test_samplers_are_what_is_drawn_besides_the_batch() -> None:
    config = convert({"sources": {"in_batch": 1, "uniform": 2, "popular": 0}, "exponent": 0.5}, NegativesConfig)
    assert config.in_batch
    assert {name: per for name, (per, _) in config.samplers(COUNT).items()} == {"uniform": 2.0}
    popular = convert({"sources": {"popular": 3}, "exponent": 0.5}, NegativesConfig)
    assert not popular.in_batch
    np.testing.assert_allclose(popular.samplers(COUNT)["popular"][1].p, sampler("popular", COUNT, 0.5).p)


@pytest.mark.parametrize("source", SHOWN)
def test_shown_items_are_refused_with_the_reason(source: str) -> None:
    with pytest.raises(ConfigError, match="ranker's work") as refused:
        convert({"sources": {"in_batch": 1, source: 1}}, NegativesConfig, "train.two_tower.negatives")
    assert "pre-rank and rank dropped" in str(refused.value)
    assert "had been retrieved and ranked high" in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"sources": {"popluar": 1}}, 'did you mean "popular"'),
        ({"sources": {"hard": 1}}, "hard_share"),
        ({"sources": {"in_batch": 0.5}}, "0 or 1"),
        ({"sources": {"uniform": -1}}, "0 to 1000"),
        ({"sources": {}}, "at least one easy source"),
        ({"sources": {"uniform": 0}}, "at least one easy source"),
        ({"hard_share": 1.0}, "< 1"),
        ({"share": 1.0}, "unknown key"),
    ],
)
def test_a_wrong_mix_is_refused(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(raw, NegativesConfig)


def test_by_default_half_is_hard() -> None:
    assert NegativesConfig().hard_share == 0.5
    assert NegativesConfig().sources == {"in_batch": 1.0}
