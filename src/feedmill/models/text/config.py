"""What every text encoder and the model around it are told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config


class DSSMConfig(Config, frozen=True):
    """Parameters of ``[train.NAME]`` that all encoders share."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 128
    output_dim: Annotated[int, Meta(ge=1, description="width of a text's vector")] = 128
    gamma: Annotated[float, Meta(gt=0, description="cosines are multiplied by it in the softmax")] = 10.0
    n_negatives: Annotated[int, Meta(ge=0, description="random items per step, beside those of the batch")] = 256
    is_shared: Annotated[bool, Meta(description="queries and items are read by one encoder, or by two")] = True
    side: Annotated[bool, Meta(description="items are told by author, topics and attributes beside their text")] = True
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.1
