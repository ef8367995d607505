"""The synthetic study of MMoE's paper: how much related must two tasks be for a shared model to learn both?

Ma et al., KDD 2018, section 3.1. Two regressions of x ~ N(0, I), 100 wide: u1 and u2 are orthogonal unit vectors,
w1 = c u1, w2 = c (p u1 + sqrt(1 - p²) u2), y_k = w_k·x + sum_i sin(alpha_i w_k·x + beta_i) + N(0, 0.1²). p is the
cosine of the weights, not the correlation of the labels, which is measured. The paper does not print c, alpha and
beta; ours are below. Every seed has its own u1, u2, weights and endless stream of rows; the three models of a seed see
the same rows, and have as many weights as each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.core.progress import progress
from feedmill.metrics.intervals import bootstrap
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.train.rank.regression import Regression

COSINES = (0.5, 0.9, 1.0)
N_NUMERIC, N_HEADS = 100, 2
C, NOISE = 1.0, 0.1
ALPHA, BETA = (0.7, 1.4, 2.1, 2.8, 3.5, 4.2), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
MODELS: dict[str, dict[str, Any]] = {  # the paper's: 8 experts of 16, towers of 8
    "shared_bottom": {"tower_dim": 8},
    "omoe": {"n_experts": 8, "tower_dim": 8},
    "mmoe": {"n_experts": 8, "tower_dim": 8},
}
LIKE, WIDTH = "mmoe", 16  # the others are made as wide as has about its number of weights
LEARNING_RATE, BATCH = 5e-3, 64


class Size(NamedTuple):
    """How long the study runs: seeds, steps, and how many points of a curve are kept."""

    n_seeds: int
    n_steps: int
    n_points: int


FULL, QUICK = Size(20, 2500, 25), Size(3, 300, 6)


def study_rows(quick: bool, size: Size | None = None, cosines: tuple[float, ...] = COSINES) -> list[BenchRow]:
    """Curves and last losses of each model at each cosine, over the seeds; and the correlation of the labels."""
    from feedmill.train.loop import threads

    chosen = size or (QUICK if quick else FULL)
    rows: list[BenchRow] = []
    with progress("the synthetic study", len(cosines) * len(MODELS) * chosen.n_seeds) as advance, threads(1):
        for cosine in cosines:
            rows += correlation_rows(cosine, chosen)
            for name in MODELS:
                losses = []
                for seed in range(chosen.n_seeds):
                    losses.append(losses_of(name, cosine, seed, chosen.n_steps))
                    advance(1)
                rows += model_rows(name, cosine, np.stack(losses, axis=1), chosen)
    return rows


def losses_of(name: str, cosine: float, seed: int, n_steps: int) -> Floats:
    """float32[steps]: mean squared error of each step's fresh rows, before learning from them."""
    from feedmill.train.rank.regression import fit_regression

    return fit_regression(model_of(name, seed), stream(cosine, seed, n_steps), LEARNING_RATE)


def model_of(name: str, seed: int) -> Regression:
    """A model of a seed, of the width that gives it the number of weights that ``LIKE`` has."""
    from feedmill.train.rank.regression import Regression

    def at(kind: str, width: int) -> Regression:
        return Regression(kind, {"hidden_dims": (width,), **MODELS[kind]}, N_NUMERIC, N_HEADS, seed)

    one, two = at(name, 1).n_weights, at(name, 2).n_weights  # it is linear in the width
    return at(name, max(1, round(1 + (at(LIKE, WIDTH).n_weights - one) / (two - one))))


def stream(cosine: float, seed: int, n_steps: int) -> Iterator[tuple[Floats, Floats]]:
    """Inputs float32[B, 100] and labels float32[B, 2] of every step; the same for every model."""
    weights, draw = weights_of(cosine, seed), rng(seed, "study", "rows")
    for _ in range(n_steps):
        drawn = draw.standard_normal((BATCH, N_NUMERIC + N_HEADS), dtype=np.float32)
        x, noise = np.split(drawn, [N_NUMERIC], axis=1)
        yield np.ascontiguousarray(x), labels(x, weights, noise)


def weights_of(cosine: float, seed: int) -> Floats:
    """float32[100, 2], w1 and w2 as columns: of length ``C``, with this cosine between them."""
    u, _ = np.linalg.qr(rng(seed, "study", "weights").standard_normal((N_NUMERIC, 2)))
    second = cosine * u[:, 0] + np.sqrt(1 - cosine**2) * u[:, 1]
    return np.asarray(C * np.stack([u[:, 0], second], axis=1), np.float32)


def labels(x: Floats, weights: Floats, noise: Floats) -> Floats:
    """y_k = z + sum_i sin(alpha_i z + beta_i) + noise with z = w_k·x."""
    z = x @ weights
    waves = [np.sin(np.float32(a) * z + np.float32(b)) for a, b in zip(ALPHA, BETA, strict=True)]
    return np.asarray(z + np.sum(waves, axis=0) + np.float32(NOISE) * noise, np.float32)


def correlation_rows(cosine: float, size: Size) -> list[BenchRow]:
    """Pearson's correlation of the two labels over 20,000 rows of each seed."""
    found = []
    for seed in range(size.n_seeds):
        drawn = rng(seed, "study", "correlation").standard_normal((20_000, N_NUMERIC + N_HEADS), dtype=np.float32)
        y = labels(drawn[:, :N_NUMERIC], weights_of(cosine, seed), drawn[:, N_NUMERIC:])
        found.append(np.asarray(np.corrcoef(y.T))[0, 1])
    at = bootstrap(np.array(found), 0)
    return [_row(cosine, "labels", "correlation", at.mean, at.low, at.high, f"mean of {size.n_seeds} seeds, 95 %")]


def model_rows(name: str, cosine: float, losses: Floats, size: Size) -> list[BenchRow]:
    """The curve (median, 10 % and 90 % of seeds), the last tenth's mean, and its spread over seeds."""
    window = max(1, size.n_steps // size.n_points)
    unit = f"mean squared error, median and 10..90 % of {size.n_seeds} seeds"
    rows = []
    for at in range(window, size.n_steps + 1, window):
        low, middle, high = np.quantile(losses[at - window : at].mean(0), (0.1, 0.5, 0.9))
        rows.append(_row(cosine, name, f"loss at step {at}", middle, low, high, unit))
    last = losses[-max(1, size.n_steps // 10) :].mean(0).astype(np.float64)
    mean = bootstrap(last, 0)
    spread = spread_of(last)
    low, middle, high = np.quantile(last, (0.1, 0.5, 0.9))
    return [
        *rows,
        _row(cosine, name, "final loss", mean.mean, mean.low, mean.high, f"mean of {size.n_seeds} seeds, 95 %"),
        _row(cosine, name, "final loss, median", middle, low, high, f"and 10..90 % of {size.n_seeds} seeds"),
        _row(cosine, name, "final loss, spread", *spread, f"standard deviation over {size.n_seeds} seeds, 95 %"),
    ]


def spread_of(values: Any) -> tuple[float, float, float]:
    """The standard deviation of values with the percentile bootstrap's 95 % interval."""
    draws = values[rng(0, "study", "spread").integers(0, len(values), (1000, len(values)))].std(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(values.std()), float(low), float(high)


def _row(cosine: float, name: str, metric: str, value: float, low: float, high: float, unit: str) -> BenchRow:
    return BenchRow(
        what=f"study: p={cosine}, {name}",
        metric=metric,
        value=float(value),
        low=float(low),
        high=float(high),
        unit=unit,
        split="endless stream",
    )
