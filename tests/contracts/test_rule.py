"""Every registered rule against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts import rule as suite
from contracts.rule import Make
from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.protocols import RerankRule
from feedmill.rerank import RULES


def of(kind: str, vectors: Floats | None = None, **parameters: Any) -> Make:
    def make() -> RerankRule:
        cls: Any = RULES[kind]
        rule: RerankRule = cls(convert(parameters, cls.Config, kind), suite.state(), vectors)
        return rule

    return make


MAKE: dict[str, Make] = {
    "dpp": of("dpp", suite.vectors()),
    "dpp, without vectors": of("dpp", author_weight=0.3),
    "dpp, quality, short window": of("dpp", suite.vectors(), form="quality", window=3, topic_weight=0),
    "dpp, drawn": of("dpp", suite.vectors(), temperature=0.1),
    "mmr, drawn": of("mmr", suite.vectors(), temperature=0.1, author_weight=0.2),
    "duplicates, by vectors": of("duplicates", suite.vectors(), limit=0.3),
    "duplicates, by topics": of("duplicates", topic_weight=1.0, limit=0.5, window=3),
    "mmr": of("mmr", suite.vectors()),
    "mmr, without vectors": of("mmr"),
    "mmr, short window": of("mmr", suite.vectors(), theta=0.3, window=2, topic_weight=0),
    "slots, advertisements": of("slots", first=3, gap=4, most=3, load=0.2, order="bid"),
    "slots, operations": of("slots", value="operations", at=[1, 7, 8], gap=2),
    "slots, paced": of("slots", gap=2, per_hour=1.0, per_user_day=2),
    "window": of("window"),
    "window, at least": of("window", of="a3", at_least=1, at_most=3, window=3),
    "window, any topic": of("window", by="topic", topics="any", window=5),
    "window, that cannot hold": of("window", by="author", at_most=1, window=30),
}
made = cache(lambda kind: MAKE[kind]())
CHECKS = [name for name in vars(suite) if name.startswith("check_")]


def test_every_registered_rule_is_checked() -> None:
    assert {name.split(",")[0] for name in MAKE} == set(RULES)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_rule(kind: str, check: str) -> None:
    getattr(suite, check)(MAKE[kind])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(MAKE)), min_size=2, max_size=5),
    st.lists(st.integers(1, suite.N_ITEMS - 1), unique=True, max_size=40),
    st.integers(0, 2**32),
    st.integers(1, 12),
    st.lists(st.sampled_from([f"i{row}" for row in range(1, suite.N_ITEMS)]), unique=True, max_size=10),
)
def test_no_chain_of_rules_loses_or_repeats_an_item(
    kinds: list[str], items: list[int], seed: int, n: int, shown: list[str]
) -> None:
    """Whatever rules in whatever order, all but the last handing on what they may: the slate holds n distinct items,
    or all there are but for what the rules say they may leave out."""
    rules = [made(kind) for kind in kinds]
    batch = suite.candidates(items, rng(seed, "values").random(len(items)).tolist())
    request = replace(suite.REQUEST, n=n, seed=seed, exclude=tuple(shown))
    may_fall = np.any([suite.members(rule, batch) for rule in rules], axis=0)
    now = batch
    for rule, k in zip(rules, [*[len(batch)] * (len(rules) - 1), n], strict=True):
        picks = rule.apply(request, now, k)
        assert len(np.unique(picks.rows)) == len(picks.rows) == len(picks.notes) <= k
        now = now.take(picks.rows)
    assert set(now.item.tolist()) <= set(items)
    assert len(now) >= min(n, np.count_nonzero(~may_fall))
    if n >= len(items):
        assert set(batch.item[~may_fall].tolist()) <= set(now.item.tolist()), "lost one that no rule may leave out"
