"""What the offline pass reads of feedmill.toml, beside each model's own parameters."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config


class TrainConfig(Config, frozen=True):
    """Section ``[train]``; one ``[train.NAME]`` for each channel of kind "vector" has its model's parameters."""

    seed: Annotated[int, Meta(ge=0, description="of every draw; the same seed and log give the same artifact")] = 0
    n_threads: Annotated[int, Meta(ge=0, description="threads of torch; 0 = all cores")] = 0


class Fitting(Config, frozen=True):
    """How long and how fast a model learns; these keys stand beside the model's own, in [rank] and [train.NAME]."""

    epochs: Annotated[int, Meta(ge=1, description="passes over the samples")] = 6
    batch_size: Annotated[int, Meta(ge=1, description="requests per step")] = 512
    learning_rate: Annotated[float, Meta(gt=0, description="of Adam and SparseAdam")] = 2e-3


FITTING_KEYS = tuple(Fitting.__struct_fields__)
