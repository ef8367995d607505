import numpy as np
import pytest

from feedmill.cli.bench.ranking.new_users import World
from feedmill.cli.bench.ranking.personal import Budget, by_newness, personal_rows


def test_auc_is_taken_of_new_users_and_of_others() -> None:
    drawn = World(0).draw(300, 0.4, 0, "test")
    clicks = drawn.samples.labels[:, 0]
    assert by_newness(drawn, np.where(drawn.is_new, clicks, 1 - clicks)) == (1.0, 0.0)


@pytest.mark.slow
def test_rows_compare_with_the_first_variant() -> None:
    rows = personal_rows(True, 1, ("plain", "poso"), (Budget("dnn", 1, 64),))
    found = {(row.what, row.metric): row.value for row in rows}
    plain, gated = "dnn, 1 epochs: plain", "dnn, 1 epochs: poso"
    for who in ("new users", "other users"):
        gain = found[gated, f"AUC, {who}"] - found[plain, f"AUC, {who}"]
        assert found[gated, f"AUC over plain, {who}"] == pytest.approx(gain)
        assert (plain, f"AUC over plain, {who}") not in found
    assert found[gated, "weights"] > found[plain, "weights"]
    assert rows[0].value > 0.7  # the truth, which no model beats


@pytest.mark.slow
def test_poso_raises_new_users_and_leaves_others() -> None:
    """The effect that the benchmark measures, at its budget: about 0.1 of AUC, between 0.03 and 0.2 by seed."""
    rows = personal_rows(True, 2, ("plain", "poso"))
    found = {row.metric: row.value for row in rows if row.what.endswith("poso")}
    assert found["AUC over plain, new users"] > 0.02
    assert found["AUC over plain, other users"] > -0.015
