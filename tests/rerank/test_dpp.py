"""DPP against determinants taken one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rule import REQUEST, candidates, some, state, vectors
from feedmill.core.batches import CandidateBatch, Floats
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.rerank.dpp import DPP, DPPConfig
from feedmill.rerank.similarity import stretch


def rule(item_vectors: Floats | None, **parameters: Any) -> DPP:
    return DPP(DPPConfig(**parameters), state(), item_vectors)


def kernel(batch: CandidateBatch, config: DPPConfig) -> np.ndarray:
    """float64[C, C] S by the definition, one pair at a time, with the ridge."""
    catalogue, known = state().catalogue, vectors()
    sets = [{int(t) for t in catalogue.topics[i] if t} for i in batch.item]
    rows = [known[i].astype(float) if i < len(known) else np.zeros(known.shape[1]) for i in batch.item]
    out = np.zeros((len(batch), len(batch)))
    for i, j in np.ndindex(out.shape):
        lengths = np.linalg.norm(rows[i]) * np.linalg.norm(rows[j])
        cosine = rows[i] @ rows[j] / lengths if lengths else 0
        either = sets[i] | sets[j]
        jaccard = len(sets[i] & sets[j]) / len(either) if either else 0
        authors = catalogue.author[batch.item[i]], catalogue.author[batch.item[j]]
        same = float(authors[0] == authors[1] > 0)
        rest = 1 - config.topic_weight - config.author_weight
        out[i, j] = config.topic_weight * jaccard + config.author_weight * same + rest * cosine
    return out + config.ridge * np.eye(len(batch))


def log_det(s: np.ndarray, chosen: list[int]) -> float:
    return float(np.linalg.slogdet(s[np.ix_(chosen, chosen)])[1]) if chosen else 0.0


def check_greedy(batch: CandidateBatch, picked: list[int], config: DPPConfig) -> None:
    """Every pick adds the most: value, and log det of the window with it over log det of the window without it."""
    s, left = kernel(batch, config), list(range(len(batch)))
    gain, variety = DPP(config, state(), vectors()).gain(stretch(batch.value))
    for slot, pick in enumerate(picked):
        recent = picked[max(0, slot - config.window + 1) : slot]
        scores = {i: gain[i] + variety * (log_det(s, [*recent, i]) - log_det(s, recent)) for i in left}
        assert scores[pick] >= max(scores.values()) - 1e-5
        left.remove(pick)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 25),
    st.integers(0, 25),
    st.sampled_from(["theta", "quality"]),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([(0.0, 0.0), (0.4, 0.0), (0.3, 0.3)]),
    st.sampled_from([1, 2, 3, 7, 30]),
    st.integers(0, 99),
)
def test_equals_determinants(
    n: int, k: int, form: str, theta: float, weights: tuple[float, float], window: int, seed: int
) -> None:
    batch = some(n, seed)
    config = convert(
        {"form": form, "theta": theta, "topic_weight": weights[0], "author_weight": weights[1], "window": window},
        DPPConfig,
    )
    check_greedy(batch, DPP(config, state(), vectors()).apply(REQUEST, batch, k).rows.tolist(), config)


@pytest.mark.parametrize("window", [3, 10, 30])
def test_what_is_new_of_a_pick_is_the_ratio_of_two_determinants(window: int) -> None:
    """Also after the window has slid a long way: rotations lose nothing."""
    batch, config = some(40), DPPConfig(theta=0.2, window=window, topic_weight=0.2)
    one = DPP(config, state(), vectors())
    rows, fresh = one._pick(stretch(batch.value), batch.item, 40, 0)
    s, picked = kernel(batch, config), rows.tolist()
    for slot in range(40):
        recent = picked[max(0, slot - window + 1) : slot]
        d = np.exp(log_det(s, [*recent, picked[slot]]) - log_det(s, recent))
        assert fresh[slot] == pytest.approx(d / s[picked[slot], picked[slot]], abs=2e-6)


def test_the_two_forms_agree_where_quality_is_an_exponential() -> None:
    """log det diag(q) S diag(q) = 2 sum log q + log det S: with log q = theta v / 2 (1 - theta) both are one."""
    batch = some(20)
    config = DPPConfig(theta=0.6, topic_weight=0)
    s, value = kernel(batch, config), stretch(batch.value).astype(float)
    q = np.exp(0.6 / (2 * 0.4) * value)
    l_kernel, picked = q[:, None] * s * q[None, :], []
    for _ in range(9):
        left = [i for i in range(20) if i not in picked]
        picked.append(max(left, key=lambda i: log_det(l_kernel, [*picked, i])))
    assert DPP(config, state(), vectors()).apply(REQUEST, batch, 9).rows.tolist() == picked


def test_theta_1_is_the_order_of_value_and_0_is_variety() -> None:
    batch = some(20)
    assert rule(vectors(), theta=1.0).apply(REQUEST, batch, 10).rows.tolist() == list(range(10))
    assert rule(vectors(), theta=0.0).apply(REQUEST, batch, 10).rows.tolist() != list(range(10))


def test_twins_do_not_stand_side_by_side_while_there_is_anything_else() -> None:
    """Items 8 and 9 have one vector; without a ridge a slate of both would be impossible."""
    batch = candidates([8, 9, 1, 2, 3, 4], [1.0, 0.99, 0.5, 0.4, 0.3, 0.2])
    picks = rule(vectors(), theta=0.5, topic_weight=0).apply(REQUEST, batch, 6)
    assert picks.rows[0] == 0
    assert picks.rows.tolist().index(1) > 2
    assert sorted(picks.rows.tolist()) == list(range(6))


def test_drawing_follows_the_seed_and_no_noise_is_the_best() -> None:
    batch, drawn = some(30), rule(vectors(), temperature=0.3)
    requests = [REQUEST.__class__(request_id="r", user_id="u1", seed=s) for s in range(30)]
    slates = {tuple(drawn.apply(r, batch, 5).rows.tolist()) for r in requests}
    assert len(slates) > 15
    assert tuple(drawn.apply(requests[3], batch, 5).rows.tolist()) in slates


def test_a_slot_is_drawn_by_the_softmax_of_what_it_adds() -> None:
    batch = candidates([1, 2], [1.0, 0.0])
    drawn = rule(None, temperature=0.5, theta=1.0)
    first = [drawn.apply(REQUEST.__class__(request_id="r", user_id="u", seed=s), batch, 1).rows[0] for s in range(2000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(1 / (1 + np.exp(-1 / 0.5)), abs=0.03)


@pytest.mark.parametrize("wrong", [{"ridge": 0}, {"form": "det"}, {"topic_weight": 0.7, "author_weight": 0.7}])
def test_a_wrong_config_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        convert(wrong, DPPConfig, "rerank.rules[0]")
