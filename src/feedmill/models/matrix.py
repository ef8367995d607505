"""Matrix factorisation: a vector for every id, and nothing between them and their product (Rendle et al., UAI 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.models.unit import unit


class MatrixConfig(Config, frozen=True):
    """Parameters of ``[train.NAME] kind = "matrix"``."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 64
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.0
    cosine: Annotated[bool, Meta(description="vectors of length 1: popularity cannot hide in their length")] = True


class Matrix(nn.Module):
    """Each side is the sum of its fields' vectors: no weights but the table's.

    By default the fields are the two ids. With a history in place of the user's id the user is the mean of what they
    liked (FISM, Kabbur et al., KDD 2013), with both it is SVD++ (Koren, KDD 2008); with attributes, LightFM.

    Args:
        n_fields: (Fu, Fi) embedded fields.
        n_numeric: not read.
    """

    Config = MatrixConfig
    defaults: ClassVar[Mapping[str, Any]] = {"features": {"only": ["user.id", "item.id"], "numbers": "none"}}

    def __init__(self, config: MatrixConfig, n_fields: tuple[int, int], n_numeric: tuple[int, int]) -> None:
        super().__init__()
        self.cosine = config.cosine

    def user(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D] -> float32[R, D]."""
        return self._vector(user)

    def item(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        """float32[C, Fi, D] -> float32[C, D]."""
        return self._vector(item)

    def _vector(self, fields: Tensor) -> Tensor:
        return unit(fields.sum(1)) if self.cosine else fields.sum(1)
