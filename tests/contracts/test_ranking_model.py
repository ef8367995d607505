import pytest

from contracts import ranking_model as suite
from feedmill.models import RANKERS


@pytest.mark.parametrize("kind", list(RANKERS))
@pytest.mark.parametrize("check", [suite.check_shape_and_order, suite.check_overfits, suite.check_round_trip])
def test_contract(kind: str, check) -> None:  # type: ignore[no-untyped-def]
    cls = RANKERS[kind]
    check(lambda *sizes: cls(cls.Config(embedding_dim=suite.DIM), *sizes))  # type: ignore[attr-defined,call-arg]
