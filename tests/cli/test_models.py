"""``feedmill models`` as a user meets it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill import publish
from feedmill.core.batches import Part
from feedmill.core.clock import FixedClock
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import Workspace
from feedmill.experiments import Action, Arm, Definition, ExperimentsConfig, LayerConfig, Plan, lifecycle
from feedmill.log.sqlite import SqliteLog


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "shop", '[publish.gate]\nat_least = { "auc.*" = 0.99 }\n')


def write(at: Workspace, n: int, auc: float) -> str:
    part, about = Part("k", {}, {"a": np.full(5, n)}), {"metrics": {"auc": {"click": auc}}, "offset": 100 * n}
    return publish.write(at.artifacts, {"p": part}, about, clock=FixedClock(n))


def test_promote_overrule_roll_back_and_the_history_of_it(shop: Workspace, run: Run) -> None:
    good, bad = write(shop, 1, 0.8), write(shop, 2, 0.7)
    here = ("--dir", shop.path)
    assert f"promoted {good}" in run("models", "promote", good, *here).output
    refused = run("models", "promote", bad, *here)
    assert isinstance(refused.exception, ArtifactError)
    assert f"auc.click = 0.7 is 12.5% below 0.8 of version {good}" in refused.exception.given
    assert "--force" in refused.exception.fix
    forced = run("models", "promote", bad, "--force", "--why", "a new audience", *here)
    assert forced.exit_code == 0
    assert "overruled: auc.click" in forced.output
    assert f"rolled back to {good}" in run("models", "rollback", *here).output
    told = [(p.action, p.version, p.why, len(p.refused)) for p in publish.promotions(shop.artifacts)]
    assert told == [("promote", good, "", 0), ("promote", bad, "a new audience", 1), ("rollback", good, "", 0)]
    assert "a new audience" in run("models", "history", *here).output


def test_roll_back_to_a_named_version(shop: Workspace, run: Run) -> None:
    made = [write(shop, n, 0.8) for n in (1, 2, 3)]
    for version in made:
        run("models", "promote", version, "--dir", shop.path)
    assert run("models", "rollback", made[0], "--dir", shop.path).exit_code == 0
    assert publish.current(shop.artifacts) == made[0]


def test_verify_names_the_damaged_one(shop: Workspace, run: Run) -> None:
    a, b = write(shop, 1, 0.8), write(shop, 2, 0.8)
    assert run("models", "verify", "--dir", shop.path).exit_code == 0
    (shop.artifacts / b / "p" / "a.npy").write_bytes(b"")
    found = run("models", "verify", "--dir", shop.path)
    assert f"{a}  sound" in found.output
    assert "0 bytes" in found.output
    assert isinstance(found.exception, ArtifactError)


def test_collecting_leaves_canaries(shop: Workspace, run: Run) -> None:
    made = [write(shop, n, 0.8) for n in range(1, 7)]
    publish.promote(shop.artifacts, made[4])
    with (shop.path / "feedmill.toml").open("a") as file:
        file.write("[experiments.layers.model]\n")
    arms = {"control": Arm(share=0.1), "new": Arm(share=0.1, set={"publish.version": made[0]})}
    canary = Action(action="create", name="canary", definition=Definition(layer="model", arms=arms))
    plan = Plan.empty(ExperimentsConfig(layers={"model": LayerConfig()}))
    with closing(SqliteLog(shop.log)) as log:
        log.append(lifecycle.event(lifecycle.settle(plan, canary), 1))
    done = run("models", "gc", "--keep", "1", "--pin", made[1], "--dir", shop.path)
    assert done.exit_code == 0, done.output
    assert {v.version for v in publish.versions(shop.artifacts)} == {made[0], made[1], made[4], made[5]}
    assert "nothing to remove" in run("models", "gc", "--keep", "1", "--pin", made[1], "--dir", shop.path).output
