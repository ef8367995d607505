"""What a trained ranker says of rows of the log, each as of its moment: to calibrate it, and to fit what uses it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from feedmill.core.batches import Floats, Part, UserColumns
from feedmill.features.served.calibrated import KEY, Correction
from feedmill.features.served.graph import Graph
from feedmill.features.served.trees_graph import TREES_KIND, TreesGraph
from feedmill.state import Probed, State
from feedmill.state.probed import Facts

CHUNK = 4096  # requests at once
Columns = TypeVar("Columns", Probed, UserColumns, Facts)


def logged_scores(part: Part, state: State, probed: Probed) -> Floats:
    """float32[C, H] of the candidates of R requests, not calibrated.

    Args:
        state: after the log, for what does not change with time; what does is in ``probed``.

    Raises:
        ArtifactError: the part cannot be served.
    """
    graph = TreesGraph(part, state) if part.kind == TREES_KIND else Graph(part, state, whole=True)
    n = len(probed.users)
    chunks = [graph.of_probed(requests(probed, at, min(at + CHUNK, n))) for at in range(0, n, CHUNK)]
    return np.concatenate(chunks) if chunks else np.zeros((0, len(graph.heads)), np.float32)


def served_scores(part: Part, state: State, probed: Probed) -> Floats:
    """The same as they are served: corrected and calibrated where the part says how."""
    raw = logged_scores(part, state, probed)
    if not part.config.get(KEY):
        return raw
    return Correction.of(part, state)(raw, probed.users, probed.item, probed.request_of)


def requests(probed: Probed, first: int, last: int) -> Probed:
    """Requests ``first`` up to ``last`` of R, with their candidates."""
    low, high = np.searchsorted(probed.request_of, [first, last]).tolist()
    cut = _rows(probed, slice(low, high))
    return replace(
        cut,
        users=_rows(probed.users, slice(first, last)),
        request_of=(cut.request_of - first).astype(np.int32),
        facts=None if probed.facts is None else _rows(probed.facts, slice(low, high)),
    )


def _rows(columns: Columns, rows: slice) -> Columns:
    """A struct of columns, every array of it cut to these rows."""
    values: dict[str, Any] = {f.name: getattr(columns, f.name) for f in fields(columns)}
    cut: dict[str, Any] = {name: v[rows] for name, v in values.items() if isinstance(v, np.ndarray)}
    return replace(columns, **cut)
