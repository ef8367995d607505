"""Where a fit begins that goes on from another: the dense weights of a part, and its rows of embeddings.

An ONNX graph is for serving: what was folded and fused in it cannot be trained on. So a part keeps the weights it was
exported from beside it, as one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from feedmill.core.batches import Floats, Part
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import component
from feedmill.models import WATCH_TIME
from feedmill.models.heads.binary import BinaryHead
from feedmill.train.rank.heads import WATCH

WEIGHTS, N_LOGITS = "weights", "n_logits"  # an array of a part, and what its config says of it
AGAIN = "run `feedmill train`, which starts anew"


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a model was when it stopped.

    Attributes:
        heads: names of what it predicts, () for towers; ``n_logits`` of each.
        table: float32[V, D] rows as the new spec numbers them; row 0 is the zero vector.
        values: by name, every weight of the model, and every constant of its heads.
    """

    heads: tuple[str, ...]
    n_logits: tuple[int, ...]
    table: Floats
    values: dict[str, NDArray[np.floating]]

    @staticmethod
    def of(part: Part, table: Floats | None = None) -> Start:
        """Of a part as it was trained.

        Args:
            table: in the place of the part's own embeddings, where ids have got other rows since.

        Raises:
            ArtifactError: the part does not keep its weights.
        """
        if WEIGHTS not in part.arrays or WEIGHTS not in part.config:
            given = f'a part of kind "{part.kind}" without the weights that it was exported from'
            raise ArtifactError(given, "one that this version trained", AGAIN)
        rows = np.asarray(part.arrays["embedding"]) if table is None else table
        flat, at, values = np.asarray(part.arrays[WEIGHTS]), 0, {}
        for name, shape in part.config[WEIGHTS]:
            n = int(np.prod(shape))
            values[name] = np.array(flat[at : at + n]).reshape(shape)
            at += n
        return Start(tuple(part.config.get("heads", ())), tuple(part.config.get(N_LOGITS, ())), rows, values)

    def opened_heads(self, config: Any) -> list[Any]:
        """The heads with the constants they had, whatever the labels of today.

        Args:
            config: of the ranker.
        """
        out: list[Any] = [self._watch_head(config) if name == WATCH else BinaryHead() for name in self.heads]
        for h, head in enumerate(out):
            head.n_logits = self.n_logits[h]
            for name, value in self._under(f"heads.{h}.").items():
                owner, _, own = name.rpartition(".")
                head.get_submodule(owner).register_buffer(own, torch.from_numpy(value.astype(np.float32)))
        return out

    def fill(self, table: nn.Embedding, model: nn.Module) -> None:
        """Set the rows of ``table`` and all weights of ``model``, which was made as it was for the part.

        Raises:
            ArtifactError: it has other weights.
        """
        had = self._under("model.")
        state = model.state_dict()
        differ = [name for name in {**state, **had} if _shape(state.get(name)) != _shape(had.get(name))]
        if differ:
            raise ArtifactError(f"weights that are not those of the config: {sorted(differ)[:3]}", "the same", AGAIN)
        with torch.no_grad():
            for name, value in state.items():
                value.copy_(torch.from_numpy(had[name]))
            table.weight.copy_(torch.from_numpy(np.array(self.table, np.float32)))

    def _under(self, prefix: str) -> dict[str, NDArray[np.floating]]:
        return {name.removeprefix(prefix): v for name, v in self.values.items() if name.startswith(prefix)}

    def _watch_head(self, config: Any) -> Any:
        """Made of any labels: its constants are set afterwards."""
        chosen = component(config.watch_time, WATCH_TIME, "rank.watch_time")
        labels, cls = np.linspace(1, 60, 64, dtype=np.float32), cast(Any, chosen.cls)
        return cls(chosen.config, labels, np.linspace(30, 90, 64, dtype=np.float32))


def kept(model: nn.Module, heads: Sequence[Any] = ()) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What a part keeps: the array "weights" float[P], and in its config what is where in it."""
    state = nn.ModuleDict({"model": model, "heads": nn.ModuleList(heads)}).state_dict()
    flat = [value.detach().numpy().ravel() for value in state.values()]
    values = np.concatenate(flat) if flat else np.zeros(0, np.float32)
    shapes = [[name, list(value.shape)] for name, value in state.items()]
    return {WEIGHTS: values}, {WEIGHTS: shapes, N_LOGITS: [head.n_logits for head in heads]}


def _shape(value: Any) -> tuple[int, ...] | None:
    return None if value is None else tuple(value.shape)
