"""A ranker whose first layer is cut in three: users once per request, items once per publish, pairs as they come.

The first layer is linear, so its sums are those of its shares. What an item adds (``item_first``), and the item's
embedded fields that the products with the user's need (``item_pooled``), lie in the artifact by item row. A request
computes the user's share, gathers the items', and runs what is left: same scores as the whole graph to 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows
from feedmill.features.assemble import FeatureBatch
from feedmill.features.attention import Attention, item_numbers
from feedmill.features.served.item_parts import CHUNK, KEYS, ItemParts, keys_of
from feedmill.features.served.pooling import pool, session, table_of
from feedmill.features.served.prepared import Prepared
from feedmill.features.spec import FeatureSpec, from_dict
from feedmill.state import CROSS, Probed, State

USER, ITEM, SCORES = "user_first.onnx", "item_first.onnx", "scores.onnx"
FIRST, POOLED = "item_first", "item_pooled"  # arrays by item row


class UserShare(NamedTuple):
    """Of one request: int32[1, Wu] ids, float32[1, Fu, D] pooled fields, float32[1, W] share of the first layer."""

    ids: Rows
    pooled: Floats
    first: Floats


class Factored:
    """The three graphs of a part, and its items.

    Args:
        part: blobs ``user_first.onnx``, ``item_first.onnx``, ``scores.onnx``; arrays ``embedding``, ``item_keys``,
            ``item_first`` float[N, W] and, where the scores read it, ``item_pooled`` float[N, Fi, D].

    Raises:
        ArtifactError: a graph cannot be loaded, an array is missing, or arrays differ in length.
    """

    def __init__(self, part: Part, spec: FeatureSpec, prepared: Prepared, state: State) -> None:
        self._prepared, self._shares = prepared, _Shares(part, spec, prepared, state)
        self._attention = Attention(spec, part.arrays, np.asarray(part.arrays["embedding"]))
        self._user, self._scores = _Run(part.blobs[USER]), _Run(part.blobs[SCORES])
        self._names = names = [FIRST, *([POOLED] if "item" in self._scores.inputs else [])]
        self.items = ItemParts(part.arrays, names, state, self._shares.ids, lambda rows: self._shares.of(rows, names))

    def score(self, probed: Probed) -> Floats:
        """float32[C, H] of the candidates of one request (R = 1)."""
        user = self.user(probed)
        return self.finish(probed, user, self.items.rows(probed.item), self.numbers(probed, user))

    def user(self, probed: Probed) -> UserShare:
        """What is made once per request."""
        ids = self._prepared.ids(probed, "user")
        pooled = self._shares.pooled(ids, "user")
        return UserShare(ids, pooled, self._user(user=pooled, user_numeric=self._prepared.numbers(probed, "user")))

    def numbers(self, probed: Probed, user: UserShare) -> Floats:
        """float32[C, Ni], the candidates' numbers, which change from request to request."""
        return self._attention.beside(self._prepared.numbers(probed, "item"), user.ids, probed.item)

    def looked_up(self, items: Rows) -> dict[str, Floats]:
        """By name float32[C, …] what was made of items beforehand."""
        return dict(zip(self._names, self.items.rows(items), strict=True))

    def finish(self, probed: Probed, user: UserShare, items: Sequence[Floats], numbers: Floats) -> Floats:
        """float32[C, H] from all shares; ``items`` are their rows of ``item_first`` and ``item_pooled``."""
        return self._scores(
            user_first=user.first,
            item_first=items[0],
            user=user.pooled,
            item=items[1] if len(items) > 1 else None,
            item_numeric=numbers,
            request_of=np.zeros(len(probed), np.int64),
            duration=probed.cross[:, CROSS.index("duration_s")],
        )


def is_factored(part: Part) -> bool:
    """Whether the part has what ``Factored`` needs; one of an older version has not, and is served whole."""
    return all(name in part.blobs for name in (USER, ITEM, SCORES)) and FIRST in part.arrays and KEYS in part.arrays


def with_items(part: Part, state: State) -> Part:
    """The part with its items' shares computed: called when it is published.

    Args:
        part: a ranker's, with the three graphs; one without them comes back as it is.
        state: has the catalogue as the model was trained on it.
    """
    if not all(name in part.blobs for name in (USER, ITEM, SCORES)):
        return part
    spec = from_dict(part.config["spec"])
    prepared = Prepared(spec, part.arrays, state)
    shares = _Shares(part, spec, prepared, state)
    names = [FIRST, *([POOLED] if "item" in _Run(part.blobs[SCORES]).inputs else [])]
    n = len(state.items)
    made: dict[str, list[NDArray[Any]]] = {name: [] for name in (*names, KEYS)}
    for low in range(0, n, CHUNK):
        rows = np.arange(low, min(low + CHUNK, n), dtype=np.int32)
        made[KEYS].append(keys_of(shares.ids(rows)))
        for name, values in zip(names, shares.of(rows, names), strict=True):
            made[name].append(values)
    return replace(part, arrays={**part.arrays, **{name: np.concatenate(parts) for name, parts in made.items()}})


def shares_of(part: Part, ids: Rows) -> dict[str, Floats]:
    """By name float32[C, …] what is looked up of items, made of their ids int32[C, Wi]; rounded as it is stored."""
    spec = from_dict(part.config["spec"])
    pooled = pool(np.asarray(part.arrays["embedding"]), ids, np.array(spec.starts("item"), np.int32))
    made = {FIRST: _Run(part.blobs[ITEM])(item=pooled), POOLED: pooled}
    kept = {name: part.arrays[name].dtype for name in made if name in part.arrays}
    return {name: made[name].astype(dtype).astype(np.float32) for name, dtype in kept.items()}


def predict(
    part: Part,
    batch: FeatureBatch,
    *,
    half: bool = False,
    shares: Mapping[str, Floats] | None = None,
    duration: Floats | None = None,
) -> Floats:
    """float32[C, H] of assembled requests, each as it would be served.

    Args:
        half: items' shares go through float16, as they may be stored.
        shares: the items', where they are known already (``shares_of``).
        duration: float32[C] seconds, NaN = unknown; for heads that need it.
    """
    spec = from_dict(part.config["spec"])
    table = np.asarray(part.arrays["embedding"])
    users, items = (np.array(spec.starts(side), np.int32) for side in ("user", "item"))
    user_first, item_first, scores = (_Run(part.blobs[name]) for name in (USER, ITEM, SCORES))
    numbers = item_numbers(spec, table, batch)
    starts = np.searchsorted(batch.request_of, np.arange(len(batch.user_ids) + 1))
    out = np.zeros((len(batch.item_ids), len(part.config["heads"])), np.float32)
    for r in range(len(batch.user_ids)):
        one, rows = slice(r, r + 1), slice(int(starts[r]), int(starts[r + 1]))
        if starts[r] == starts[r + 1]:
            continue
        user, item = pool(table, batch.user_ids[one], users), pool(table, batch.item_ids[rows], items)
        first = item_first(item=item) if shares is None else shares[FIRST][rows]
        if shares is not None:
            item = shares[POOLED][rows] if POOLED in shares else item
        if half:
            first, item = (x.astype(np.float16).astype(np.float32) for x in (first, item))
        own = user_first(user=user, user_numeric=batch.user_numeric[one])
        out[rows] = scores(
            user_first=own,
            item_first=first,
            user=user,
            item=item,
            item_numeric=numbers[rows],
            request_of=np.zeros(len(item), np.int64),
            duration=None if duration is None else duration[rows],
        )
    return out


class _Shares:
    """What the model makes of items alone."""

    def __init__(self, part: Part, spec: FeatureSpec, prepared: Prepared, state: State) -> None:
        self._prepared, self._state = prepared, state
        self._table = table_of(part.arrays, spec)
        self._starts = {side: np.array(spec.starts(side), np.int32) for side in ("user", "item")}
        self._first = _Run(part.blobs[ITEM])

    def ids(self, items: Rows) -> Rows:
        """int32[n, W] rows of the fused table, as the catalogue has the items now."""
        nobody = self._state.view("", self._state.newest_ms)
        return self._prepared.ids(self._state.probe(nobody, items), "item")

    def of(self, items: Rows, names: list[str]) -> list[Floats]:
        """Of each name float32[n, …]."""
        pooled = self.pooled(self.ids(items), "item")
        made = {FIRST: self._first(item=pooled), POOLED: pooled}
        return [made[name] for name in names]

    def pooled(self, ids: Rows, side: str) -> Floats:
        return pool(self._table, ids, self._starts[side])


class _Run:
    """A graph that is given what it asks for, of what there is."""

    def __init__(self, blob: bytes) -> None:
        self._session: onnxruntime.InferenceSession = session(blob)
        self.inputs = {i.name for i in self._session.get_inputs()}

    def __call__(self, **given: NDArray[Any] | None) -> Floats:
        feeds: Mapping[str, Any] = {k: v for k, v in given.items() if k in self.inputs}
        return np.asarray(self._session.run(None, feeds)[0], np.float32)
