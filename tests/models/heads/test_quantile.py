from pathlib import Path

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.models.heads.quantile import QuantileConfig, QuantileHead
from watch_times import segmm

EXPONENTIAL = (-20 * np.log1p(-(np.arange(4000) + 0.5) / 4000)).astype(np.float32)  # mean 20 s, median 20 ln 2
UNKNOWN = np.full(len(EXPONENTIAL), np.nan, np.float32)
NONE = torch.full((1,), torch.nan)


def even(n: int) -> tuple[float, ...]:
    return tuple(((2 * np.arange(n) + 1) / (2 * n)).tolist())


def test_slope_is_the_share_below_less_the_level() -> None:
    head = QuantileHead(QuantileConfig(levels=(0.3,)), np.array([0, 10, 20], np.float32), UNKNOWN[:3])
    logits = torch.tensor([[0.4]]).repeat(2, 1).requires_grad_()
    at = head.quantiles(logits)[0, 0].item()
    head.loss(logits, torch.tensor([at - 1, at + 1]), NONE).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[:, 0].tolist() == pytest.approx([0.7, -0.3])


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.9])
def test_a_logit_of_0_serves_the_quantile_of_all_labels_and_is_the_best_constant(transform: str, level: float) -> None:
    head = QuantileHead(convert({"levels": [level], "transform": transform}, QuantileConfig), EXPONENTIAL, UNKNOWN)
    assert head.predict(torch.zeros(1, 1), NONE).item() == pytest.approx(-20 * np.log1p(-level), rel=2e-3)
    t = torch.from_numpy(EXPONENTIAL)
    below, at, above = (head.loss(torch.full((len(t), 1), z), t, t).mean().item() for z in (-0.05, 0.0, 0.05))
    assert at < min(below, above)


def test_the_median_of_a_skewed_label_reads_low_and_the_factor_takes_that_out() -> None:
    """ln 2 of an exponential's mean."""
    read = {}
    for repair in ("none", "constant"):
        head = QuantileHead(convert({"repair": repair}, QuantileConfig), EXPONENTIAL, UNKNOWN)
        read[repair] = head.predict(torch.zeros(1, 1), NONE).item() / EXPONENTIAL.mean()
    assert read["none"] == pytest.approx(np.log(2), rel=1e-3)
    assert read["constant"] == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(("n", "share"), [(1, 0.693), (7, 0.951), (35, 0.990)])
def test_the_mean_of_even_levels_lacks_what_lies_beyond_the_last(n: int, share: float) -> None:
    """The midpoint rule on the quantile function -ln(1 - u), whose integral is the mean."""
    assert -np.log1p(-np.array(even(n))).mean() == pytest.approx(share, abs=5e-4)
    head = QuantileHead(QuantileConfig(levels=even(n)), EXPONENTIAL, UNKNOWN)
    assert head.predict(torch.zeros(1, n), NONE).item() / 20 == pytest.approx(share, abs=2e-3)


def test_a_level_counts_for_the_share_nearest_to_it() -> None:
    head = QuantileHead(QuantileConfig(levels=(0.1, 0.5, 0.6)), EXPONENTIAL, UNKNOWN)
    assert head.share.tolist() == pytest.approx([0.3, 0.25, 0.45])


def test_levels_out_of_order_are_refused() -> None:
    for levels in ([0.5, 0.2], [0.5, 0.5]):
        with pytest.raises(ConfigError, match="levels"):
            convert({"levels": levels}, QuantileConfig)
    with pytest.raises(ConfigError):
        convert({"levels": [1.0]}, QuantileConfig)


def test_one_distinct_label_is_refused() -> None:
    with pytest.raises(DataError, match="all 3 watch times are 5 s"):
        QuantileHead(QuantileConfig(), np.full(3, 5, np.float32), UNKNOWN[:3])


def test_the_median_of_real_watch_times_is_half_of_their_mean(shared_data: Path) -> None:
    t, duration = segmm(shared_data)
    head = QuantileHead(QuantileConfig(), t, duration)
    assert head.predict(torch.zeros(1, 1), NONE).item() / t.mean() == pytest.approx(0.504, abs=0.002)
