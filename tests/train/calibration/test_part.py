"""From a log to what is served: down-sampled, trained, corrected and calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace, component
from feedmill.features import FeatureBatch, FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.served.calibrated import KEY, calibrated
from feedmill.features.served.graph import Graph
from feedmill.features.served.logged import logged_scores, requests, served_scores
from feedmill.models import RANKERS
from feedmill.publish import load, promote, write
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Probed, State
from feedmill.train.calibration.fit import CalibrationConfig
from feedmill.train.calibration.part import fit_calibrated, n_to_learn_from, with_calibration
from feedmill.train.config import Fitting
from feedmill.train.rank.ranker import fit_ranker
from shown_worlds import impressions

RANK = {"kind": "lr", "embedding_dim": 4, "dropout": 0.0, "dots": True}  # the dots: whether group and topic match
RIGHT = 0.2  # of the rarest head: two to three standard errors of its few hundred positives
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # the export takes its time on a busy machine


class World:
    """A log, its state and features; ``fitted`` trains on a sample of it."""

    def __init__(self, events: EventBatch, config: SamplesConfig) -> None:
        self.state = State()
        self.state.fold(events)
        self.samples, _ = sample(events, self.state, config, seed=0)
        again = State()
        again.register(events)
        probed = again.fold(events, self.samples.probe)
        assert probed is not None
        self.probed: Probed = probed
        features = FeaturesConfig(histories={}, context=False, numbers="none", only=("user.group", "item.topics"))
        self.spec: FeatureSpec
        self.spec, self.arrays = fit_features.fit(features, self.state, probed)
        self.batch = assemble(self.spec, self.arrays, self.state, probed)
        self.seen: list[SampleBatch] = []

    def fitted(self, config: CalibrationConfig, epochs: int = 6) -> Part:
        chosen: Any = component(RANK, RANKERS, "rank")

        def fit_part(batch: FeatureBatch, samples: SampleBatch) -> Part:
            self.seen.append(samples)
            fitting = Fitting(epochs=epochs, batch_size=256, learning_rate=0.01)
            return fit_ranker(chosen, fitting, self.spec, self.arrays, batch, samples, 0)

        return fit_calibrated(fit_part, config, self.samples, self.batch, self.probed, self.state)


@pytest.fixture(scope="module")
def log() -> tuple[EventBatch, np.ndarray]:
    return impressions(12_000, rate=0.1)


@pytest.fixture(scope="module")
def everything(log: tuple[EventBatch, np.ndarray]) -> World:
    """All rows of the log, none left out: to measure on."""
    return World(log[0], SamplesConfig(min_positives=20))


def said(part: Part, everything: World) -> np.ndarray:
    """What is served of all impressions of the log."""
    return served_scores(part, everything.state, everything.probed)


@pytest.fixture(scope="module")
def down_sampled(log: tuple[EventBatch, np.ndarray]) -> tuple[World, Part]:
    """A ranker of a fifth of the negatives, corrected and then calibrated on the newest three tenths."""
    world = World(log[0], SamplesConfig(min_positives=20, keep_negatives=0.2))
    return world, world.fitted(PLATT)


PLATT = CalibrationConfig(kind="platt", share=0.3)


def test_of_a_fifth_of_the_negatives_the_served_mean_is_right(
    down_sampled: tuple[World, Part], everything: World
) -> None:
    world, part = down_sampled
    assert set(world.seen[0].loss_weight.tolist()) == {1.0}
    corrected = replace(part, config={**part.config, KEY: {"keep_negatives": 0.2}})
    truth = everything.samples.labels.mean(axis=0)
    assert (logged_scores(part, everything.state, everything.probed).mean(axis=0) > 2 * truth).all()
    np.testing.assert_allclose(said(corrected, everything).mean(axis=0), truth, rtol=RIGHT)


def test_or_the_loss_weighs_them_back(log: tuple[EventBatch, np.ndarray], everything: World) -> None:
    world = World(log[0], SamplesConfig(min_positives=20, keep_negatives=0.2, undo_sampling="weigh"))
    part = world.fitted(CalibrationConfig())
    assert set(world.seen[0].weight.tolist()) == {1.0, 5.0}
    assert KEY not in part.config
    truth = everything.samples.labels.mean(axis=0)
    np.testing.assert_allclose(said(part, everything).mean(axis=0), truth, rtol=RIGHT)


@pytest.mark.parametrize("kind", ["platt", "isotonic", "bucket"])
def test_calibrated_on_rows_that_it_did_not_learn_from(
    down_sampled: tuple[World, Part], everything: World, kind: str
) -> None:
    world, part = down_sampled
    config = CalibrationConfig(kind=kind, share=0.3, by="item.topic")  # type: ignore[arg-type]
    n, n_all = n_to_learn_from(world.samples, config), len(world.samples.probe)
    assert len(world.seen[0].probe) == n == n_all - int(np.ceil(0.3 * n_all))
    raw = logged_scores(part, world.state, requests(world.probed, n, n_all))
    part = with_calibration(part, config, world.samples, world.probed, raw, world.state)
    about = part.config[KEY]["fitted_on"]
    assert about["from_ms"] >= world.samples.probe.time_ms[n - 1]
    assert about["heads"]["click"]["pcoc_after"] == pytest.approx(1, abs=0.02)
    truth = everything.samples.labels.mean(axis=0)
    np.testing.assert_allclose(said(part, everything).mean(axis=0), truth, rtol=RIGHT)


def test_it_travels_with_the_version_and_serves_as_it_was_fitted(
    down_sampled: tuple[World, Part], tmp_path: Path
) -> None:
    world, part = down_sampled
    version = write(tmp_path, {"rank": part}, {})
    promote(tmp_path, version)
    again = load(tmp_path).part("rank")
    user, items = world.state.view("u3", world.state.newest_ms), np.arange(1, 20, dtype=np.int32)
    ours, theirs = (calibrated(Graph(p, world.state), p, world.state).score(user, items) for p in (part, again))
    np.testing.assert_array_equal(ours, theirs)
    assert (ours != Graph(part, world.state).score(user, items)).any()


def test_logged_rows_in_pieces_are_the_logged_rows(down_sampled: tuple[World, Part], everything: World) -> None:
    part, n = down_sampled[1], len(everything.samples.probe)
    whole = logged_scores(part, everything.state, everything.probed)
    cuts = [requests(everything.probed, a, b) for a, b in ((0, 7), (7, 5000), (5000, n))]
    pieces = [logged_scores(part, everything.state, cut) for cut in cuts]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5)


def test_a_head_that_happens_to_nobody_among_the_held_out_is_left_as_it_is(down_sampled: tuple[World, Part]) -> None:
    world, part = down_sampled
    n, n_all = n_to_learn_from(world.samples, PLATT), len(world.samples.probe)
    labels = world.samples.labels.copy()
    labels[n:, world.samples.heads.index("like")] = 0
    raw = logged_scores(part, world.state, requests(world.probed, n, n_all))
    without = replace(world.samples, labels=labels)
    found = with_calibration(part, PLATT, without, world.probed, raw, world.state)
    assert set(found.config[KEY]["heads"]) == set(part.config["heads"]) - {"like"}
    with pytest.raises(DataError, match="one for each held-out row"):
        with_calibration(part, PLATT, without, world.probed, raw[1:], world.state)


def test_the_workspace_names_the_section() -> None:
    workspace = Workspace(Path(), {"rank": {"calibration": {"kind": "platt", "share": 0.2}}})
    assert workspace.section("rank.calibration", CalibrationConfig).share == 0.2
