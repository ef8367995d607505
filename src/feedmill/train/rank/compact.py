"""How a fitted ranker is stored and served: items' shares beforehand, and smaller numbers where nothing is lost.

int8 weights and float16 shares are used only if the held-out metrics allow: what was measured and decided stands in
the part's config under "serving", and is printed.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.config import Config
from feedmill.core.progress import console
from feedmill.features import FeatureBatch
from feedmill.features.served.factored import FIRST, POOLED, SCORES, predict, with_items
from feedmill.metrics.classification import auc, log_loss
from feedmill.state import State


class ServingConfig(Config, frozen=True):
    """Keys of ``[rank]`` that say how the model is served."""

    quantize: Annotated[
        Literal["none", "int8"], Meta(description="weights of the served graph, if the held-out metrics allow it")
    ] = "none"
    half: Annotated[
        bool, Meta(description="store the items' share of the first layer in float16, if the metrics allow it")
    ] = False
    gate_share: Annotated[float, Meta(gt=0, lt=1, description="newest share of the samples, held out to decide")] = 0.05
    gate_loss: Annotated[float, Meta(ge=0, description="most by which log loss may grow, as a share of it")] = 0.002
    gate_auc: Annotated[float, Meta(ge=0, description="most by which AUC may fall")] = 0.001

    @property
    def has_gate(self) -> bool:
        """Whether something is to be decided by held-out samples."""
        return self.half or self.quantize != "none"


SERVING_KEYS = tuple(ServingConfig.__struct_fields__)


def held_out(
    batch: FeatureBatch, samples: SampleBatch, share: float
) -> tuple[tuple[FeatureBatch, SampleBatch], tuple[FeatureBatch, SampleBatch]]:
    """(older, newest): the newest ``share`` of the requests, at least one, on the right."""
    n = len(samples.probe)
    cut = max(n - max(round(n * share), 1), 0)
    return (_cut(batch, samples, 0, cut), _cut(batch, samples, cut, n))


def compact(part: Part, state: State, config: ServingConfig, held: tuple[FeatureBatch, SampleBatch] | None) -> Part:
    """A ranker's part as it is published.

    Args:
        part: with the graphs of ``ranker_graphs``; one without them, such as trees, comes back as it is.
        state: as of the end of the training log.
        held: features and samples that the model was not trained on; None without a gate.
    """
    if SCORES not in part.blobs:
        return part
    made = with_items(part, state)
    if not config.has_gate or held is None or not len(held[1]):
        return made
    batch, samples = held
    before, said = _measure(part, batch, samples), {}
    if config.half:
        with np.errstate(over="ignore"):
            small = {k: v.astype(np.float16) for k, v in made.arrays.items() if k in (FIRST, POOLED)}
        after = _measure(part, batch, samples, half=True)
        fits = all(np.isfinite(v).all() for v in small.values())  # an item that is not held out can be beyond 65,504
        said["float16"] = _decided("float16", before, after, config, fits)
        made = replace(made, arrays={**made.arrays, **small}) if said["float16"]["used"] else made
    if config.quantize == "int8":
        blobs = {**made.blobs, SCORES: int8(made.blobs[SCORES])}
        half = bool(said.get("float16", {}).get("used"))
        after = _measure(replace(part, blobs=blobs), batch, samples, half=half)
        said["int8"] = _decided("int8", before, after, config)
        made = replace(made, blobs=blobs) if said["int8"]["used"] else made
    return replace(made, config={**made.config, "serving": said})


def int8(blob: bytes) -> bytes:
    """A graph with the weights of its matrix products in int8, and their inputs quantised as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_from_string(blob)
    del model.graph.value_info[:]  # the exporter notes shapes of its example, which the quantiser would believe
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a pre-processing that these graphs have had from the exporter
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "int8.onnx"
            quantize_dynamic(model, str(made), weight_type=QuantType.QInt8)
            return made.read_bytes()
    finally:
        root.setLevel(level)


def _measure(part: Part, batch: FeatureBatch, samples: SampleBatch, *, half: bool = False) -> dict[str, Any]:
    """{"log_loss": {head: …}, "auc": {head: …}} of the heads that give probabilities."""
    scores = predict(part, batch, half=half)
    out: dict[str, Any] = {"log_loss": {}, "auc": {}}
    heads = list(part.config["heads"])
    kinds = part.config.get("head_kinds", ["probability"] * len(heads))
    for h, (head, kind) in enumerate(zip(heads, kinds, strict=True)):
        at = samples.heads.index(head)
        rows = samples.mask[:, at]
        labels, given = samples.labels[rows, at], scores[rows, h]
        if kind != "seconds" and 0 < labels.sum() < len(labels):
            out["log_loss"][head] = log_loss(labels, given, samples.weight[rows])
            out["auc"][head] = auc(labels, given)
    return out


def _decided(
    what: str, before: dict[str, Any], after: dict[str, Any], config: ServingConfig, fits: bool = True
) -> dict[str, Any]:
    heads = list(before["auc"])
    good = (
        bool(heads)
        and fits
        and all(
            after["log_loss"][h] <= before["log_loss"][h] * (1 + config.gate_loss)
            and after["auc"][h] >= before["auc"][h] - config.gate_auc
            for h in heads
        )
    )
    figures = ", ".join(
        f"{h}: log loss {before['log_loss'][h]:.5f} -> {after['log_loss'][h]:.5f}, "
        f"AUC {before['auc'][h]:.5f} -> {after['auc'][h]:.5f}"
        for h in heads
    )
    console.print(f"{what} {'is used' if good else 'is not used'}: {figures or 'nothing held out has both labels'}")
    limits = {"log_loss": config.gate_loss, "auc": config.gate_auc}
    return {"used": good, "before": before, "after": after, "limits": limits}


def _cut(batch: FeatureBatch, samples: SampleBatch, low: int, high: int) -> tuple[FeatureBatch, SampleBatch]:
    first, last = np.searchsorted(batch.request_of, [low, high])
    users, rows = slice(low, high), slice(int(first), int(last))
    probe = samples.probe
    features = FeatureBatch(
        batch.user_ids[users], batch.user_numeric[users], batch.item_ids[rows], batch.item_numeric[rows],
        batch.request_of[rows] - low,
    )  # fmt: skip
    asked = replace(
        probe, user=probe.user[users], time_ms=probe.time_ms[users], at=probe.at[users], item=probe.item[rows],
        request_of=(probe.request_of[rows] - low).astype(np.int32),
    )  # fmt: skip
    return features, replace(
        samples, probe=asked, labels=samples.labels[rows], mask=samples.mask[rows], weight=samples.weight[rows]
    )
