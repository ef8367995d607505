"""The finish-length curve of a workspace's training log, where its fusion asks for one."""

from __future__ import annotations

from msgspec.structs import replace

from feedmill.core.batches import Part
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.rerank import FusionConfig
from feedmill.rerank.finish_length import FINISH_LENGTH_PART, fit_finish_length
from feedmill.samples import SamplesConfig, sample
from feedmill.state import State


def finish_length_part(workspace: Workspace, training: EventBatch, state: State, seed: int) -> dict[str, Part]:
    """The part by its name; empty where ``rerank.fusion.finish`` is plain, or the log has no finishes or lengths.

    Fitted to impressions: of items that were drawn nobody knows whether they would have been finished.
    """
    if workspace.section("rerank.fusion", FusionConfig).finish == "plain":
        return {}
    config = replace(workspace.section("samples", SamplesConfig, drop=["interest", "join", "guard"]), negatives="shown")
    samples, _ = sample(training, state, config, seed)
    part = fit_finish_length(samples, state)
    return {} if part is None else {FINISH_LENGTH_PART: part}
