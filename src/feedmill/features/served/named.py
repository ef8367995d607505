"""What a ranker reads, by the names that its spec has.

Kept of a sample of requests while serving, and compared with what the log gives (``again``).
Numbers are named once, as quantiles; x² and sqrt(x) follow from them. Ids are rows of the model's table, so that an id
that has lost its row differs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.features.assemble import FeatureBatch
from feedmill.features.spec import POWERS, FeatureSpec

Columns = dict[str, NDArray[Any]]
NO_SHARES: Mapping[str, Floats] = {}


class Named(NamedTuple):
    """Columns by feature, ids int32[n, width] or numbers float32[n, width]: ``user`` of R requests, ``items`` of C
    candidates."""

    user: Columns
    items: Columns


def named(spec: FeatureSpec, batch: FeatureBatch, numbers: Floats, shares: Mapping[str, Floats] = NO_SHARES) -> Named:
    """A batch by name.

    Args:
        numbers: float32[C, Ni], the candidates', with what attention gives (``attention.item_numbers``).
        shares: what was made of the items beforehand, float32[C, …] by the name of its array.
    """
    items = _side(spec, "item", batch.item_ids, numbers)
    at = POWERS * len(spec.numeric("item"))
    width = (numbers.shape[1] - at) // max(1, len(spec.attention))
    for i, lane in enumerate(spec.attention):
        items[f"attention.{lane}"] = numbers[:, at + i * width : at + (i + 1) * width]
    for name, rows in shares.items():
        items[name] = np.asarray(rows, np.float32).reshape(len(rows), -1)
    return Named(_side(spec, "user", batch.user_ids, batch.user_numeric), items)


def _side(spec: FeatureSpec, side: str, ids: Rows, numbers: Floats) -> Columns:
    starts = spec.starts(side)
    out: Columns = {f.name: ids[:, a:b] for f, a, b in zip(spec.side(side), starts, starts[1:], strict=False)}
    return out | {n.source: numbers[:, i : i + 1] for i, n in enumerate(spec.numeric(side))}
