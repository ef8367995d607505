import pytest

from contracts import tower as suite
from feedmill.models import TOWERS

CHECKS = [
    suite.check_vectors_of_one_width,
    suite.check_rows_do_not_know_each_other,
    suite.check_nobody_has_a_finite_vector,
    suite.check_round_trip,
]


@pytest.mark.parametrize("kind", list(TOWERS))
@pytest.mark.parametrize("check", CHECKS)
def test_contract(kind: str, check) -> None:  # type: ignore[no-untyped-def]
    cls = TOWERS[kind]
    check(lambda *sizes: cls(cls.Config(embedding_dim=suite.DIM), *sizes))  # type: ignore[attr-defined,call-arg]
