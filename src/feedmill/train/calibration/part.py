"""A trained ranker's part with its calibration: fitted on held-out rows, stored and versioned with the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.features import FeatureBatch
from feedmill.features.buckets import Buckets
from feedmill.features.served.calibrated import KEY, probabilities
from feedmill.features.served.logged import logged_scores, requests
from feedmill.metrics.calibration import ece, pcoc
from feedmill.metrics.calibrators import Calibrator, stored
from feedmill.metrics.down_sampling import corrected_heads
from feedmill.samples.down_sampling import n_earlier, rows_from, taken
from feedmill.state import Probed, State
from feedmill.train.calibration.fit import CalibrationConfig, Observed, fit

Fit = Callable[[FeatureBatch, SampleBatch], Part]
"""Rows to learn from, whose ``weight`` is what the loss multiplies them by -> a ranker's part."""


def fit_calibrated(
    fit_part: Fit, config: CalibrationConfig, samples: SampleBatch, batch: FeatureBatch, probed: Probed, state: State
) -> Part:
    """Train a ranker, and put right what it will say.

    With a calibration the newest ``config.share`` of the requests is not learned from; with none, all are. The rows
    held out are sampled like the others; the test of the split is in neither.

    Args:
        samples, batch, probed: the same rows, as labels, as features, and as the state answered.
        state: after the training log.

    Raises:
        DataError: there is nothing to learn from.
        ConfigError: ``config.by`` is no column.
    """
    n = n_to_learn_from(samples, config)
    learned = taken(samples, samples.probe.request_of < n)
    part = fit_part(first_requests(batch, n), replace(learned, weight=learned.loss_weight))
    if config.kind == "none":
        return _said(part, {"keep_negatives": samples.keep_negatives}, {}) if samples.keep_negatives < 1 else part
    raw = logged_scores(part, state, requests(probed, n, len(samples.probe)))
    return with_calibration(part, config, samples, probed, raw, state)


def n_to_learn_from(samples: SampleBatch, config: CalibrationConfig) -> int:
    """How many of the R requests the ranker may learn from: all, or all but the newest, which calibrate it."""
    return n_earlier(samples, config.share) if config.kind != "none" else len(samples.probe)


def first_requests(batch: FeatureBatch, n: int) -> FeatureBatch:
    """The first n requests and their candidates."""
    c = int(np.searchsorted(batch.request_of, n))
    return FeatureBatch(
        batch.user_ids[:n], batch.user_numeric[:n], batch.item_ids[:c], batch.item_numeric[:c], batch.request_of[:c]
    )


def with_calibration(
    part: Part, config: CalibrationConfig, samples: SampleBatch, probed: Probed, raw: Floats, state: State
) -> Part:
    """The part with calibrators fitted on its held-out rows, as ``features.served.calibrated`` serves it.

    Args:
        samples: all rows; those from request ``n_to_learn_from`` on were not learned from. Its heads may be more than
            the part's, which leaves out those of one class.
        probed: users and candidates of the samples.
        raw: float32[m, H] what the uncalibrated part says of the held-out rows, heads as the part has them.
        state: after the training log.

    Raises:
        DataError: not one score for each held-out row.
        ConfigError: ``config.by`` is no column.
    """
    rows = rows_from(samples, n_to_learn_from(samples, config))
    heads = tuple(part.config["heads"])
    if raw.shape != (len(rows), len(heads)):
        raise DataError(f"scores {list(raw.shape)}", f"{[len(rows), len(heads)]}, one for each held-out row")
    names = probabilities(heads, list(part.config.get("head_kinds", [])))
    columns = [h for h, name in enumerate(names) if name]
    probs = np.asarray(raw, np.float64)[:, columns]
    if samples.keep_negatives < 1:
        probs = corrected_heads(probs, samples.keep_negatives)
    buckets, bucket = _buckets(config, samples, probed, rows, state)
    found: dict[str, Calibrator] = {}
    report: dict[str, Any] = {}
    for k, h in enumerate(columns):
        observed = _observed(samples, rows, names[h], probs[:, k], bucket)
        calibrator = fit(config, observed, buckets.n if buckets else 0)
        report[names[h]] = _report(observed, calibrator)
        if calibrator is None:
            console.print(f'"{names[h]}" is not calibrated: the held-out rows are all of one class')
        else:
            found[names[h]] = calibrator
    per_head, arrays = stored(found)
    said: dict[str, Any] = {
        "keep_negatives": samples.keep_negatives,
        "kind": config.kind,
        "heads": per_head,
        "fitted_on": {
            "n_rows": len(rows),
            "from_ms": int(samples.probe.time_ms[samples.probe.request_of[rows]].min()),
            "to_ms": int(samples.probe.time_ms[samples.probe.request_of[rows]].max()),
            "heads": report,
        },
    }
    if buckets is not None:
        said["bucket"] = buckets.as_dict()
    return _said(part, said, arrays)


def _said(part: Part, said: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> Part:
    return replace(part, config={**part.config, KEY: said}, arrays={**part.arrays, **arrays})


def _buckets(
    config: CalibrationConfig, samples: SampleBatch, probed: Probed, rows: NDArray[np.int64], state: State
) -> tuple[Buckets | None, NDArray[np.int64]]:
    if config.kind != "bucket":
        return None, np.zeros(len(rows), np.int64)
    item, of = samples.probe.item[rows], samples.probe.request_of[rows]
    buckets = Buckets.fit(config.by, config.n_buckets, state, probed.users, item, of)
    return buckets, buckets.bind(state)(probed.users, item, of)


def _observed(
    samples: SampleBatch, rows: NDArray[np.int64], head: str, probs: NDArray[np.float64], bucket: NDArray[np.int64]
) -> Observed:
    h = samples.heads.index(head)
    labels = np.where(samples.mask[rows, h], samples.labels[rows, h], np.nan)
    return Observed.of(labels, probs, samples.weight[rows], bucket)


def _report(rows: Observed, calibrator: Calibrator | None) -> dict[str, float | int]:
    """What a person wants to see of the fit; in-sample where it says after."""
    out: dict[str, float | int] = {"n": len(rows.labels), "n_positive": int(rows.labels.sum())}
    if calibrator is not None:
        after = calibrator(rows.probs, rows.bucket)
        out |= {"pcoc": pcoc(rows.labels, rows.probs, rows.weight), "pcoc_after": pcoc(rows.labels, after, rows.weight)}
        if (rows.weight == 1).all():
            out |= {"ece": ece(rows.labels, rows.probs), "ece_after": ece(rows.labels, after)}
    return out
