"""A late-fusion pre-ranker at work: the user's side once per request, items' sides gathered, one pass over pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.features.served.item_parts import CHUNK, KEYS, ItemParts, keys_of
from feedmill.features.served.pooling import pool, session, table_of
from feedmill.features.served.prepared import Prepared
from feedmill.features.spec import POWERS, FeatureSpec, from_dict
from feedmill.state import Probed, State

USER, ITEM = "user.onnx", "item.onnx"
SIDE, OUT = "item_side", "out"
OF_ITEMS = ("item", "author", "topic")  # whose counters and rates do not ask who the user is
KNOWN = ("cross.age_s", "cross.duration_s")


def alone(spec: FeatureSpec) -> list[int]:
    """Columns of ``item_numeric`` that can be known without the user: counters, rates, age and length."""
    numerics = spec.numeric("item")
    kept = [i for i, n in enumerate(numerics) if _is_alone(n.source)]
    return [power * len(numerics) + i for power in range(POWERS) for i in kept]


def _is_alone(source: str) -> bool:
    entity, _, rest = source.removeprefix("rate.").partition(".")
    return entity in OF_ITEMS or source in KNOWN or (entity == "attribute" and bool(rest))


class LateFusionGraph:
    """A part of kind "mlp", bound to a live state.

    Args:
        part: blobs ``user.onnx`` (user, user_numeric -> [R, P]) and ``item.onnx``; arrays ``embedding``, ``out``
            float32[K], ``item_side`` float32[N, P], ``item_keys``, and those of ``features.fit``.

    Raises:
        ArtifactError: an array or a graph is missing, or the state counts other things.
    """

    heads: tuple[str, ...] = ("prerank",)

    def __init__(self, part: Part, state: State) -> None:
        self.spec = from_dict(part.config.get("spec"))
        self.spec.check(state.settings_hash, str(part.config.get("spec_hash", "")))
        for name in (USER, ITEM):
            if name not in part.blobs:
                raise ArtifactError(f"a pre-ranker without {name}", "what `feedmill train` stores", "train again")
        self._state = state
        self._sides = Sides(part.blobs, self.spec, part.arrays, state)
        self.items = ItemParts(part.arrays, [SIDE], state, self._sides.ids, lambda rows: [self._sides.items(rows)])
        self._out = np.ascontiguousarray(part.arrays[OUT], np.float32)

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, 1] in 0..1 of candidate rows for one user (R = 1)."""
        if len(items) == 0:
            return np.zeros((0, 1), np.float32)
        own = self._sides.user(user)[0]
        (sides,) = self.items.rows(items)
        if sides.shape[1] != len(own) or len(self._out) >= len(own):
            raise ArtifactError(f"items of width {sides.shape[1]}", f"{len(own)}, as users have", "train again")
        return meet(sides, own, self._out)[:, None]


class Sides:
    """Both sides of the model, by the graphs of a part."""

    def __init__(
        self, blobs: Mapping[str, bytes], spec: FeatureSpec, arrays: Mapping[str, NDArray[Any]], state: State
    ) -> None:
        self._state, self._prepared = state, Prepared(spec, arrays, state)
        self._table = table_of(arrays, spec)
        self._starts = {side: np.array(spec.starts(side), np.int32) for side in ("user", "item")}
        self._columns = alone(spec)
        self._user, self._item = session(blobs[USER]), session(blobs[ITEM])

    def user(self, user: UserColumns) -> Floats:
        """float32[R, P]."""
        probed = Probed.of_users(user, self._state.count_names)
        pooled = pool(self._table, self._prepared.ids(probed, "user"), self._starts["user"])
        return _run(self._user, user=pooled, user_numeric=self._prepared.numbers(probed, "user"))

    def ids(self, items: Rows) -> Rows:
        """int32[n, W] rows of the fused table, as the catalogue has the items now."""
        return self._prepared.ids(self._probe(items), "item")

    def items(self, items: Rows) -> Floats:
        """float32[n, P], with counters as they are now."""
        probed = self._probe(items)
        pooled = pool(self._table, self._prepared.ids(probed, "item"), self._starts["item"])
        return _run(self._item, item=pooled, item_numeric=self._prepared.numbers(probed, "item")[:, self._columns])

    def everything(self) -> dict[str, NDArray[Any]]:
        """The arrays ``item_side`` and ``item_keys`` of all items of the state: made when the model is published."""
        n = len(self._state.items)
        chunks = [np.arange(low, min(low + CHUNK, n), dtype=np.int32) for low in range(0, n, CHUNK)]
        keys = [keys_of(self.ids(rows)) for rows in chunks]
        return {SIDE: np.concatenate([self.items(rows) for rows in chunks]), KEYS: np.concatenate(keys)}

    def _probe(self, items: Rows) -> Probed:
        return self._state.probe(self._state.view("", self._state.newest_ms), items)


def _run(graph: Any, **given: NDArray[Any]) -> Floats:
    wanted = {i.name for i in graph.get_inputs()}
    return np.asarray(graph.run(None, {k: v for k, v in given.items() if k in wanted})[0], np.float32)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def meet(items: Floats, user: Floats, out: Floats) -> Floats:
    """float32[C]: the sigmoid of ``models.prerank.LateFusion.forward``, for one user.

    Args:
        items: float32[C, P].
        user: float32[P].
        out: float32[K].
    """
    k, last = len(out), len(user) - 1
    z = np.empty(len(items), np.float32)
    for c in range(len(items)):
        row = items[c]
        total = user[last] + row[last]
        for j in range(k):
            total += out[j] * max(user[j] + row[j], np.float32(0))
        for j in range(k, last):
            total += user[j] * row[j]
        z[c] = np.float32(1) / (np.float32(1) + np.exp(-total))
    return z
