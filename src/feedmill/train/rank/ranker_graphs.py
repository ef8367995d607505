"""A fitted ranker as the graphs that serve it: whole, or cut where its first layer is made beforehand."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from feedmill.models.rank.ranker import Ranker
from feedmill.train.export import traced
from feedmill.train.loop import Inputs

R, C = torch.export.Dim("R", min=1), torch.export.Dim("C", min=1)
_OF_USER = ("user", "user_numeric", "user_first")


class Whole(nn.Module):
    """Embedded fields and numbers -> float32[C, H] what each head predicts."""

    def __init__(self, model: Ranker, heads: Sequence[Any]) -> None:
        super().__init__()
        self.model, self.heads = model, nn.ModuleList(heads)

    def forward(
        self,
        user: Tensor,
        user_numeric: Tensor,
        item: Tensor,
        item_numeric: Tensor,
        request_of: Tensor,
        duration: Tensor | None = None,
    ) -> Tensor:
        return predicted(self.heads, self.model(user, user_numeric, item, item_numeric, request_of), duration)


class UserFirst(nn.Module):
    """The user's share of the first layer."""

    def __init__(self, model: Ranker) -> None:
        super().__init__()
        self.model = model

    def forward(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        return self.model.user_first(user, user_numeric)


class ItemFirst(nn.Module):
    """The item's share of the first layer."""

    def __init__(self, model: Ranker) -> None:
        super().__init__()
        self.model = model

    def forward(self, item: Tensor) -> Tensor:
        return self.model.item_first(item)


class Scores(nn.Module):
    """Both shares, and what is known of the pair alone -> float32[C, H] what each head predicts, for one request."""

    def __init__(self, model: Ranker, heads: Sequence[Any]) -> None:
        super().__init__()
        self.model, self.heads = model, nn.ModuleList(heads)

    def forward(
        self,
        user_first: Tensor,
        item_first: Tensor,
        user: Tensor,
        item: Tensor,
        item_numeric: Tensor,
        duration: Tensor | None = None,
    ) -> Tensor:
        logits = self.model.scores(user_first, item_first, user, item, item_numeric, None)
        return predicted(self.heads, logits, duration)


def predicted(heads: Iterable[Any], logits: Tensor, duration: Tensor | None) -> Tensor:
    """float32[C, L] logits, head after head, float32[C] or none -> float32[C, H] probabilities and seconds."""
    each = list(heads)
    parts = torch.split(logits, [head.n_logits for head in each], dim=1)
    return torch.stack([head.predict(part, duration) for head, part in zip(each, parts, strict=True)], dim=1)


def graphs(model: Ranker, heads: Sequence[Any], example: Inputs) -> Mapping[str, bytes]:
    """ONNX by blob name: ``dense.onnx`` is the whole model; the other three, one after the other, are the same.

    ``duration`` float32[C] is an input where a head reads it.

    Args:
        example: one batch, for the shapes.
    """
    given = {name: _two_rows(getattr(example, name)) for name in ("user", "user_numeric", "item", "item_numeric")}
    given["request_of"] = torch.tensor([0, 1])
    if any(head.reads_duration for head in heads):
        given["duration"] = torch.ones(2)
    with torch.no_grad():
        given["user_first"] = model.user_first(given["user"], given["user_numeric"])
        given["item_first"] = model.item_first(given["item"])
    one = {name: x[:1] if name in _OF_USER else x for name, x in given.items()}
    return {
        "dense.onnx": _graph(Whole(model, heads), given),
        "user_first.onnx": _graph(UserFirst(model), given),
        "item_first.onnx": _graph(ItemFirst(model), given),
        "scores.onnx": _graph(Scores(model, heads), one),
    }


def _graph(module: nn.Module, given: Mapping[str, Tensor]) -> bytes:
    names = [name for name in inspect.signature(module.forward).parameters if name in given]
    axes = {name: {} if len(given[name]) == 1 else {0: R if name in _OF_USER else C} for name in names}
    return traced(module, tuple(given[name] for name in names), names, axes)


def _two_rows(x: Tensor) -> Tensor:
    """Two rows of an example: a size of 1 would be taken for a constant."""
    return x[[0, 0]].detach() if len(x) else x.new_zeros((2, *x.shape[1:]))
