"""Trees and their regression at work: state -> features -> leaves -> sums of weights. No torch, no LightGBM."""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.features.served.forest import Forest
from feedmill.features.served.named import Named, named
from feedmill.features.served.prepared import Prepared
from feedmill.features.served.tree_columns import matrix, tree_columns
from feedmill.features.spec import from_dict
from feedmill.state import Probed, State

TREES_KIND = "gbdt_lr"


class TreesGraph:
    """A ranker of kind "gbdt_lr", bound to a live state; in the place of ``features.served.graph.Graph``.

    Args:
        part: arrays of ``Forest``, of ``features.fit``, and ``lr.weight`` float64[L], ``lr.bias`` float64[H],
            ``lr.tree_start`` int32[H + 1]; config ``spec``, ``spec_hash``, ``heads``, ``max_categories``.

    Raises:
        ArtifactError: the part is not what its spec says, or the state counts other things.
    """

    def __init__(self, part: Part, state: State) -> None:
        self.spec = from_dict(part.config.get("spec"))
        self.spec.check(state.settings_hash, str(part.config.get("spec_hash", "")))
        self.heads: tuple[str, ...] = tuple(part.config.get("heads", ()))
        self._state, self._features = state, Prepared(self.spec, part.arrays, state)
        self._columns = tree_columns(self.spec, int(part.config.get("max_categories", 0)))
        self._forest = Forest.of(part.arrays)
        self._weight = np.asarray(part.arrays["lr.weight"], np.float64)  # as it lies there: its rows may move
        self._bias = np.asarray(part.arrays["lr.bias"], np.float64)
        self._tree_start = np.array(part.arrays["lr.tree_start"], np.int32)
        self._check()

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H] probabilities of candidate rows for one user (R = 1)."""
        if len(items) == 0:
            return np.zeros((0, len(self.heads)), np.float32)
        return self.of_probed(self._state.probe(user, items))

    def read(self, user: UserColumns, items: Rows) -> Named:
        """What ``score`` reads of the same."""
        batch = self._features.batch(self._state.probe(user, items))
        return named(self.spec, batch, batch.item_numeric)

    def of_probed(self, probed: Probed) -> Floats:
        """float32[C, H] probabilities of candidates of R requests, each as of its request."""
        batch = self._features.batch(probed)
        logits = self._forest.sums(matrix(self._columns, batch), self._weight, self._bias, self._tree_start)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def _check(self) -> None:
        n_columns, n_heads = sum(c.width for c in self._columns), len(self.heads)
        starts = self._tree_start
        asked = self._forest.n_columns
        fits = (
            asked <= n_columns
            and len(self._weight) == self._forest.n_leaves
            and len(self._bias) == n_heads
            and len(starts) == n_heads + 1
            and starts[0] == 0
            and starts[-1] == len(self._forest)
            and bool((np.diff(starts) >= 0).all())
        )
        if not fits:
            raise ArtifactError(
                f"trees that ask {asked} columns, {len(self._weight)} weights and {len(starts) - 1} heads",
                f"at most {n_columns} columns, {self._forest.n_leaves} weights and {n_heads} heads",
                "train again",
            )  # fmt: skip
