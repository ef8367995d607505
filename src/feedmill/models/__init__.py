"""Torch modules only: tensors in, tensors out. ``features`` says what they read, ``train`` how they learn."""

from feedmill.core.protocols import RankingModel
from feedmill.core.registry import Registry

RANKERS: Registry[RankingModel] = Registry("ranker", {"mmoe": "feedmill.models.mmoe:MMoERanker"})
"""Rankers by ``kind`` in ``[rank]``."""

TOWERS: Registry[object] = Registry(
    "tower",
    {
        "two_tower": "feedmill.models.two_tower:TwoTower",
        "youtube": "feedmill.models.youtube:YouTube",
        "matrix": "feedmill.models.matrix:Matrix",
    },
)
"""Retrieval models by ``model`` in a channel of kind "vector"."""
