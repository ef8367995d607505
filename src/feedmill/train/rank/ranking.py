"""The ranker of a workspace and all that goes with it: calibration, how it is served, and the pre-ranker it teaches."""

from __future__ import annotations

from typing import Any

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.progress import progress
from feedmill.features import FeatureBatch, FeaturesConfig, assemble
from feedmill.features.served.trees_graph import TREES_KIND
from feedmill.samples import SamplesConfig
from feedmill.train.calibration.part import fit_calibrated
from feedmill.train.learned import Learned
from feedmill.train.plans import RankPlan
from feedmill.train.rank.compact import compact, held_out
from feedmill.train.rank.distilled import fused
from feedmill.train.rank.finish_length import finish_length_part
from feedmill.train.rank.prerank import fit_prerank
from feedmill.train.rank.ranker import fit_ranker
from feedmill.train.trees.part import fit_trees

RANK = "rank"  # the name of its part


def fit_ranking(plan: RankPlan, learned: Learned) -> tuple[dict[str, Part], dict[str, Any]]:
    """The parts "rank", "prerank" and "finish_length", as far as they are asked for, and what to say of them.

    Raises:
        DataError: there is nothing to learn from.
    """
    workspace, state, seed = learned.workspace, learned.state, learned.seed
    samples, negatives = _samples(learned)
    probed = learned.then(samples.probe)
    spec, arrays = learned.features(RANK, workspace.section("features", FeaturesConfig), probed)
    batch = assemble(spec, arrays, state, probed)
    older, newest = (batch, samples), None
    if plan.serving.has_gate:
        older, newest = held_out(batch, samples, plan.serving.gate_share)

    def learn(batch: FeatureBatch, kept: SampleBatch) -> Part:
        if plan.chosen.kind == TREES_KIND:
            return fit_trees(plan.chosen.config, spec, arrays, batch, kept, seed)
        duration_s = state.catalogue.duration_s[kept.probe.item]
        start = learned.start(RANK, spec)
        return fit_ranker(plan.chosen, plan.fitting, spec, arrays, batch, kept, seed, duration_s, start)

    part = fit_calibrated(learn, plan.calibration, older[1], older[0], probed, state)
    parts = {RANK: compact(part, state, plan.serving, newest)}
    if plan.prerank is not None:
        value = fused(plan.fusion)
        parts["prerank"] = fit_prerank(
            plan.prerank, spec, arrays, batch, probed, samples, parts[RANK], state, value, seed
        )
    parts |= finish_length_part(workspace, learned.training, state, seed)
    return parts, {
        "spec_hash": part.config["spec_hash"],
        "heads": list(part.config["heads"]),
        "n_samples": len(samples),
        "negatives": negatives,
    }


def _samples(learned: Learned) -> tuple[SampleBatch, str]:
    config = learned.workspace.section("samples", SamplesConfig, drop=["interest", "join", "guard"])
    with progress("drawing samples"):
        samples, negatives = learned.samples(config)
    if not samples.heads or not len(samples):
        raise DataError(
            f"{len(learned.training):,} events, too few of any kind of feedback",
            f"at least {config.min_positives} clicks, watches or likes",
            "ingest more events, or lower samples.min_positives",
        )
    return samples, negatives
