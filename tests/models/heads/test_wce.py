from pathlib import Path

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.models.heads.wce import WCEConfig, WCEHead
from watch_times import best_constant, drawn, segmm, unknown

T = drawn()
NONE = torch.full((1,), torch.nan)
PLAIN = ["loss", "rows"]


def made(seconds: np.ndarray = T, duration: np.ndarray | None = None, **block: object) -> WCEHead:
    return WCEHead(convert(block, WCEConfig), seconds, unknown(len(seconds)) if duration is None else duration)


@pytest.mark.parametrize("scheme", [1, 2, 3])
def test_gradient_is_that_of_the_formula(scheme: int) -> None:
    """dL/dz = p - w (1 - p), at the odds that are served."""
    head = made(scheme=scheme, cap=0).double()
    t = torch.tensor([0.0, 0.5, 20.0, 400.0], dtype=torch.float64)
    logits = torch.tensor([[-1.0], [0.0], [0.5], [3.0]], dtype=torch.float64, requires_grad=True)
    head.loss(logits, t, NONE).sum().backward()
    p = torch.sigmoid(logits[:, 0] + head.start).detach()
    w = {1: torch.log2(1 + t), 2: torch.log2(1 + t) + 1, 3: t}[scheme]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[:, 0], p - w * (1 - p))


def test_gradient_in_seconds_is_steep_below_and_flat_above() -> None:
    """Of 20 s watched: (t' - 20) / (t' (1 + t')) where t' is served."""
    head = made().double()
    served = torch.tensor([1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 200.0], dtype=torch.float64, requires_grad=True)
    logits = (torch.log(served) - head.start)[:, None]
    (slope,) = torch.autograd.grad(head.loss(logits, torch.full_like(served, 20), NONE).sum(), served)
    torch.testing.assert_close(slope, ((served - 20) / (served * (1 + served))).detach())
    assert -slope[2] > 7 * slope[5]  # half of it is pulled up seven times as hard as double of it is pulled down


def test_scheme_3_is_the_mean() -> None:
    assert best_constant(made(), T) == pytest.approx(np.minimum(T, 3600).mean(), rel=1e-5)


def test_schemes_1_and_2_turn_a_mean_of_logarithms_back() -> None:
    logs = np.log2(1 + T.astype(np.float64))
    low = 2 ** logs.mean() - 1
    assert best_constant(made(scheme=1, cap=0), T) == pytest.approx(low, rel=1e-5)
    assert best_constant(made(scheme=2, cap=0), T) == pytest.approx(low, rel=1e-5)
    assert low < 0.65 * T.mean()
    assert best_constant(made(scheme=1, cap=4), T) == pytest.approx(2 ** np.minimum(logs, 4).mean() - 1, rel=1e-5)
    assert best_constant(made(scheme=2, cap=4), T) == pytest.approx(
        2 ** (np.minimum(logs + 1, 4).mean() - 1) - 1, rel=1e-5
    )


def test_a_log_normal_time_is_read_low_by_half_its_variance() -> None:
    """1 + t = e^(m + s n): served e^m - 1 and not e^(m + s^2 / 2) - 1."""
    t = np.expm1(np.maximum(3 + 0.5 * np.random.default_rng(0).standard_normal(40_000), 0)).astype(np.float32)
    served = best_constant(made(t, scheme=1, cap=0), t)
    assert served == pytest.approx(np.expm1(3), rel=0.01)
    assert t.mean() == pytest.approx(np.expm1(3 + 0.125), rel=0.01)
    assert best_constant(made(t), t) == pytest.approx(t.mean(), rel=1e-4)


@pytest.mark.parametrize(("scheme", "most_s"), [(1, 255.0), (2, 127.0)])
def test_beyond_the_cap_seconds_are_alike_and_none_are_served(scheme: int, most_s: float) -> None:
    head = made(scheme=scheme)
    seconds = torch.tensor([most_s, most_s + 1, 3600.0])
    torch.testing.assert_close(head.weights(seconds), torch.full((3,), 8.0))
    logits = torch.tensor([[50.0]])
    assert head.predict(logits, NONE).item() == pytest.approx(most_s)
    assert made(scheme=scheme, cap=0).predict(logits, NONE).item() == pytest.approx(3600.0, rel=1e-4)


@pytest.mark.parametrize("scheme", [1, 2, 3])
def test_an_error_in_the_logit_moves_logarithms_of_seconds_by_their_size(scheme: int) -> None:
    head = made(scheme=scheme, cap=0).double()
    at = torch.tensor([2.0, 20.0, 200.0], dtype=torch.float64)
    odds = at if scheme == 3 else torch.log2(1 + at) + (scheme - 1)
    logits = (torch.log(odds) - head.start)[:, None].requires_grad_()
    served = head.predict(logits, NONE)
    torch.testing.assert_close(served.detach(), at)
    (moved,) = torch.autograd.grad(served.sum(), logits)
    log = torch.log1p(at) + (np.log(2) if scheme == 2 else 0)
    torch.testing.assert_close(moved[:, 0], at if scheme == 3 else (1 + at) * log)


@pytest.mark.parametrize("scheme", [1, 2, 3])
def test_both_ways_have_the_same_expected_gradient(scheme: int) -> None:
    """Of a linear model on the same rows: over all of them, and so over batches, which are even draws of them."""
    random, n = np.random.default_rng(0), 3000
    x, beta = torch.from_numpy(random.standard_normal((n, 4))), torch.from_numpy(random.standard_normal(4) / 4)
    t = torch.from_numpy(T[:n]).double()
    loss, rows = (made(T[:n], scheme=scheme, way=way).double() for way in PLAIN)
    found = rows.examples(T[:n], seed=0)
    assert found is not None
    assert loss.examples(T[:n], seed=0) is None
    assert len(found.row) == 2 * n
    assert (np.diff(found.row) >= 0).all()
    row, label, weight = (torch.from_numpy(a) for a in found)

    beta.requires_grad_()
    (each,) = torch.autograd.grad(loss.loss((x @ beta)[:, None], t, NONE).mean(), beta)
    of_examples = 2 * rows.example_loss((x[row] @ beta)[:, None], label, weight.double()).mean()
    (twice,) = torch.autograd.grad(of_examples, beta)
    torch.testing.assert_close(twice, each, rtol=1e-6, atol=1e-7)

    order, steps = np.random.default_rng(1).permutation(2 * n).reshape(30, -1), []
    for batch in order:  # an epoch of steps on 2B examples, each scaled to a sum per row
        k = torch.from_numpy(batch)
        part = 2 * rows.example_loss((x[row[k]] @ beta)[:, None], label[k], weight[k].double()).mean()
        steps.append(torch.autograd.grad(part, beta)[0])
    torch.testing.assert_close(torch.stack(steps).mean(0), each, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scheme", [1, 3])
def test_rows_twice_have_noisier_steps_by_what_theory_says(scheme: int) -> None:
    """At the best constant odds o a step over B rows varies by Var(w) / (1 + o)^2 / B, over 2B examples 2 p^2 / B more.

    A row's two answers pull against each other by p = o / (1 + o) on average; the examples that meet in a batch do not.
    """
    head = made(scheme=scheme, way="rows", cap=0)
    found = head.examples(T, seed=0)
    assert found is not None
    p = torch.sigmoid(head.start).item()  # logits of 0 are the best constant
    w = head.weights(torch.from_numpy(T)).numpy().astype(np.float64)
    of_rows = p - w * (1 - p)
    of_examples = np.where(found.label > 0, -found.weight * (1 - p), p).astype(np.float64)
    random, b = np.random.default_rng(0), 50
    loss = of_rows[random.integers(0, len(T), (40_000, b))].mean(1).var()
    rows = (2 * of_examples[random.integers(0, len(of_examples), (40_000, 2 * b))].mean(1)).var()
    assert loss == pytest.approx(w.var() * (1 - p) ** 2 / b, rel=0.05)
    assert rows == pytest.approx(loss + 2 * p**2 / b, rel=0.05)


@pytest.mark.parametrize("scheme", [1, 2])
def test_a_factor_by_duration_takes_the_bias_out_where_the_spread_follows_it(scheme: int) -> None:
    """One number makes the overall mean right, and short ones high and long ones low."""
    lengths = (8.0, 30.0, 120.0)
    each = [np.concatenate([drawn(20_000, length, seed=3)]) for length in lengths]
    seconds, duration = np.concatenate(each), np.repeat(np.float32(lengths), 20_000)
    read = {}
    for repair in ("none", "constant", "duration", "learned"):
        head = made(seconds, duration, scheme=scheme, cap=0, repair=repair)
        assert head.reads_duration is (repair == "duration")
        served = [
            best_constant(head, t, np.full(len(t), length, np.float32)) for t, length in zip(each, lengths, strict=True)
        ]
        read[repair] = [s / t.mean() for s, t in zip(served, each, strict=True)]
        if repair != "none":
            assert np.mean(served) == pytest.approx(seconds.mean(), rel=1e-3)
    assert max(read["none"]) < 0.8
    assert read["none"][2] < read["none"][0] - 0.1
    assert read["constant"][0] > 1.1
    assert read["constant"][2] < 0.95
    np.testing.assert_allclose(read["duration"], 1, rtol=1e-3)
    np.testing.assert_allclose(read["learned"], 1, rtol=1e-5)


def test_where_the_model_knows_more_than_the_duration_only_a_learned_factor_is_the_mean() -> None:
    """Of one length, half the users skip and half stay: labels as a whole spread more than either half's."""
    each = [drawn(10_000, 3.0), drawn(10_000, 60.0, seed=1)]
    seconds, duration = np.concatenate(each), np.full(20_000, 60, np.float32)
    read = {
        repair: np.mean(
            [best_constant(made(seconds, duration, scheme=1, repair=repair), t, duration[:10_000]) for t in each]
        )
        for repair in ("duration", "learned")
    }
    assert read["duration"] > 1.2 * seconds.mean()
    assert read["learned"] == pytest.approx(seconds.mean(), rel=1e-5)


def test_on_real_watch_times_logarithms_read_half(shared_data: Path) -> None:
    t, _ = segmm(shared_data)
    for scheme in (1, 2):
        assert best_constant(made(t, scheme=scheme), t) / t.mean() == pytest.approx(0.51, abs=0.01)
        gain = best_constant(made(t, scheme=scheme, cap=0), t) / best_constant(made(t, scheme=scheme), t)
        assert 1 <= gain < 1.01  # a cap of 8 cuts next to nothing off
    assert best_constant(made(t), t) / t.mean() == pytest.approx(1, rel=1e-4)


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(DataError, match="7 s"):
        made(np.full(5, 7, np.float32))
    with pytest.raises(DataError, match="10 s"):
        made(np.array([30, 20, 10], np.float32), cap_s=10)
    with pytest.raises(ConfigError, match=r"all weights of scheme 2 1"):
        made(scheme=2, cap=1)
    with pytest.raises(DataError, match="no duration is known"):
        made(scheme=1, repair="duration")
    with pytest.raises(ConfigError, match="rows made twice"):
        made(scheme=1, repair="learned", way="rows")
    with pytest.raises(ConfigError, match="scheme"):
        made(scheme=4)
    with pytest.raises(ConfigError, match="cap"):
        made(cap=-1)
