"""Torch module -> ONNX bytes. The embedding table stays outside: the graph takes what was gathered."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from typing import Any

import torch
from torch import nn

from feedmill.train.loop import Inputs


def to_onnx(module: nn.Module, example: Inputs) -> bytes:
    """Export a module whose forward names some of the fields of ``Inputs``; the first axis of each is free."""
    names = list(inspect.signature(module.forward).parameters)
    axes = {n: {0: torch.export.Dim("R" if n.startswith("user") else "C", min=1)} for n in names}
    tensors = tuple(_two_rows(getattr(example, n)) for n in names)
    if "request_of" in names:
        tensors = (*tensors[:-1], torch.tensor([0, 1]))
    return traced(module, tensors, names, axes)


def traced(module: nn.Module, tensors: tuple[torch.Tensor, ...], names: list[str], axes: dict[str, Any]) -> bytes:
    """Export a module as called with ``tensors``; ``axes`` names the free axes of each input."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # torch warns of its own internals here
            program = torch.onnx.export(
                module.eval(), tensors, input_names=names, output_names=["out"], dynamic_shapes=axes, dynamo=True,
                verbose=False,
            )  # fmt: skip
    finally:
        exporter.setLevel(level)
    assert program is not None  # only with f=... is there nothing to return
    model = program.model_proto
    for node in [*model.graph.node, *(n for f in model.functions for n in f.node)]:
        del node.metadata_props[:]  # where in the source it was traced: paths of this machine, and no part of the model
    proto: bytes = model.SerializeToString()
    return proto


def _two_rows(x: torch.Tensor) -> torch.Tensor:
    """Two rows of an example: a size of 1 would be taken for a constant."""
    return x[[0, 0]].detach() if len(x) else x.new_zeros((2, *x.shape[1:]))
