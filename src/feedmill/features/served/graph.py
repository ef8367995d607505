"""A trained model at work: state -> features -> embedding rows -> ONNX graph. No torch.

The embedding table lies beside the graph as a memory-mapped array and is gathered here, so rows can be replaced
while the dense graph stays frozen, and workers share its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.features.assemble import FeatureBatch, assemble
from feedmill.features.attention import item_numbers
from feedmill.features.served.factored import Factored, is_factored
from feedmill.features.served.named import Named, named
from feedmill.features.served.pooling import pool, session, table_of
from feedmill.features.served.prepared import Prepared
from feedmill.features.spec import FeatureSpec, from_dict
from feedmill.state import CROSS, Probed, State

__all__ = ["Graph", "pool", "session"]


class Graph:
    """One model of an artifact, bound to a live state.

    Args:
        part: arrays ``embedding`` float32[V, D] and those of ``features.fit``; blob ``dense.onnx``;
            config ``spec``, ``spec_hash``, ``heads``. A ranker's may have what ``factored.Factored`` needs, and is then
            served so.
        whole: run ``dense.onnx`` all the same.

    Attributes:
        factored: what serves a ranker from its shares; None where all is run whole.

    Raises:
        ArtifactError: the part is not what its spec says, or the state counts other things.
    """

    def __init__(self, part: Part, state: State, *, whole: bool = False) -> None:
        self.spec = from_dict(part.config.get("spec"))
        self.spec.check(state.settings_hash, str(part.config.get("spec_hash", "")))
        self.heads: tuple[str, ...] = tuple(part.config.get("heads", ()))
        self._state, self._arrays = state, part.arrays
        self._features = Prepared(self.spec, part.arrays, state)
        self._whole = Whole(part, self.spec) if whole or not is_factored(part) else None
        self.factored = Factored(part, self.spec, self._features, state) if self._whole is None else None

    @property
    def is_factored(self) -> bool:
        """Whether items' shares of the first layer are looked up."""
        return self.factored is not None

    def users(self, user: UserColumns) -> Floats:
        """float32[R, D] vectors of users, for models with a user tower."""
        assert self._whole is not None, "a ranker has no user tower"
        probed = Probed.of_users(user, self._state.count_names)
        return self._whole.users(self._features.ids(probed, "user"), self._features.numbers(probed, "user"))

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H] predictions for candidate rows of one user (R = 1)."""
        if len(items) == 0:
            return np.zeros((0, len(self.heads)), np.float32)
        return self.of_probed(self._state.probe(user, items))

    def read(self, user: UserColumns, items: Rows) -> Named:
        """What ``score`` reads of the same candidates, by the same look-ups."""
        probed = self._state.probe(user, items)
        if self.factored is None:
            assert self._whole is not None
            batch = assemble(self.spec, self._arrays, self._state, probed)
            return named(self.spec, batch, self._whole.item_numbers(batch))
        batch = self._features.batch(probed)
        numbers = self.factored.numbers(probed, self.factored.user(probed))
        return named(self.spec, batch, numbers, self.factored.looked_up(items))

    def of_probed(self, probed: Probed) -> Floats:
        """float32[C, H] for candidates of R requests, each as of its request; R > 1 only where all is run ``whole``."""
        if self.factored is not None:
            scores = self.factored.score(probed)
        else:
            assert self._whole is not None
            batch = assemble(self.spec, self._arrays, self._state, probed)
            scores = self._whole(batch, probed.cross[:, CROSS.index("duration_s")])
        if scores.shape != (len(probed), len(self.heads)):
            raise ArtifactError(f"a graph that gives {scores.shape}", f"heads {list(self.heads)}", "train again")
        return scores


class Whole:
    """``dense.onnx`` on features that were assembled.

    Raises:
        ArtifactError: the embedding table is not as long as the spec says, or the graph cannot be loaded.
    """

    def __init__(self, part: Part, spec: FeatureSpec) -> None:
        self._table = table_of(part.arrays, spec)
        self._spec = spec
        self._starts = {s: np.array(spec.starts(s), np.int32) for s in ("user", "item")}
        self._session = session(part.blobs["dense.onnx"])
        self._inputs = {i.name for i in self._session.get_inputs()}

    def __call__(self, batch: FeatureBatch, duration: Floats | None = None) -> Floats:
        """float32[C, H] of a ranker.

        Args:
            duration: float32[C] seconds, NaN = unknown; for heads that need it.
        """
        return self._run(
            user=pool(self._table, batch.user_ids, self._starts["user"]),
            user_numeric=batch.user_numeric,
            item=pool(self._table, batch.item_ids, self._starts["item"]),
            item_numeric=self.item_numbers(batch),
            request_of=batch.request_of,
            duration=duration,
        )

    def item_numbers(self, batch: FeatureBatch) -> Floats:
        """float32[C, Ni], with what attention gives."""
        return item_numbers(self._spec, self._table, batch)

    def users(self, ids: Rows, numeric: Floats) -> Floats:
        """float32[R, D] of a user tower."""
        return self._run(user=pool(self._table, ids, self._starts["user"]), user_numeric=numeric)

    def _run(self, **given: NDArray[Any] | None) -> Floats:
        feeds: Mapping[str, Any] = {k: v for k, v in given.items() if k in self._inputs}
        (out,) = self._session.run(None, feeds)
        return np.asarray(out, np.float32)
