from __future__ import annotations

from typing import Any

import pytest

from contracts import ranking_model as suite
from feedmill.models import PERSONAL, RANKERS

QUICK = [suite.check_shape_and_order, suite.check_overfits, suite.check_round_trip]


def maker(kind: str, gates: str = "") -> suite.Make:
    """A ranker of a kind, with personal gates or without."""
    cls: Any = RANKERS[kind]

    def make(*sizes: Any) -> Any:
        model = cls(cls.Config(embedding_dim=suite.DIM), *sizes)
        if gates:
            of: Any = PERSONAL[gates]
            model.personalise(of(of.Config(), *sizes[:2], model.gated, embedding_dim=suite.DIM))
        return model

    return make


@pytest.mark.parametrize("kind", list(RANKERS))
@pytest.mark.parametrize("check", QUICK)
def test_contract(kind: str, check: Any) -> None:
    check(maker(kind))


@pytest.mark.parametrize("kind", list(RANKERS))
@pytest.mark.parametrize("gates", list(PERSONAL))
@pytest.mark.parametrize("check", [suite.check_shape_and_order, suite.check_round_trip])
def test_with_personal_gates(kind: str, gates: str, check: Any) -> None:
    check(maker(kind, gates))


# Each export takes seconds: kinds that others contain are left to ``tests/models/rank/test_ranker.py``.
GRAPHS = [("lr", ""), ("ple", ""), ("youtube", ""), ("mmoe", "ppnet"), ("dnn", "poso")]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "gates"), GRAPHS)
def test_graphs(kind: str, gates: str) -> None:
    suite.check_graphs(maker(kind, gates))
