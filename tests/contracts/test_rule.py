"""Every registered rule against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import rule as suite
from contracts.rule import Make
from feedmill.core.batches import Floats
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
    "window": of("window"),
    "window, at least": of("window", of="a3", at_least=1, at_most=3, window=3),
    "window, any topic": of("window", by="topic", topics="any", window=5),
    "window, that cannot hold": of("window", by="author", at_most=1, window=30),
}
CHECKS = [name for name in vars(suite) if name.startswith("check_")]


def test_every_registered_rule_is_checked() -> None:
    assert {name.split(",")[0] for name in MAKE} == set(RULES)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_rule(kind: str, check: str) -> None:
    getattr(suite, check)(MAKE[kind])
