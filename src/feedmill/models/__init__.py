"""Torch modules only: tensors in, tensors out. ``features`` says what they read, ``train`` how they learn."""

from feedmill.core.protocols import RankingModel, WatchTimeHead
from feedmill.core.registry import Registry

RANKERS: Registry[RankingModel] = Registry(
    "ranker",
    {
        "lr": "feedmill.models.rank.lr:LRRanker",
        "dnn": "feedmill.models.rank.dnn:DNNRanker",
        "shared_bottom": "feedmill.models.rank.shared_bottom:SharedBottomRanker",
        "omoe": "feedmill.models.rank.omoe:OMoERanker",
        "mmoe": "feedmill.models.rank.mmoe:MMoERanker",
        "ple": "feedmill.models.rank.ple:PLERanker",
        "youtube": "feedmill.models.rank.youtube:YouTubeRanker",
    },
)
"""Rankers by ``kind`` in ``[rank]``."""

PERSONAL: Registry[object] = Registry(
    "personal",
    {
        "ppnet": "feedmill.models.rank.personal.ppnet:PPNet",
        "poso": "feedmill.models.rank.personal.poso:POSO",
    },
)
"""Gates by user and item of any ranker's hidden layers, by ``kind`` in ``[rank] personal = { kind = ... }``."""

WATCH_TIME: Registry[WatchTimeHead] = Registry(
    "watch_time",
    {
        "weighted_logistic": "feedmill.models.heads.weighted_logistic:WeightedLogisticHead",
        "mse": "feedmill.models.heads.mse:MSEHead",
        "wce": "feedmill.models.heads.wce:WCEHead",
        "fraction": "feedmill.models.heads.fraction:FractionHead",
        "completion": "feedmill.models.heads.completion:CompletionHead",
        "finish": "feedmill.models.heads.finish:FinishHead",
        "softmax": "feedmill.models.heads.softmax:SoftmaxHead",
        "distilled": "feedmill.models.heads.distilled:DistilledHead",
        "ordinal": "feedmill.models.heads.ordinal:OrdinalHead",
        "quantile": "feedmill.models.heads.quantile:QuantileHead",
        "d2q": "feedmill.models.heads.d2q:D2QHead",
        "cread": "feedmill.models.heads.cread:CREADHead",
        "tpm": "feedmill.models.heads.tpm:TPMHead",
    },
)
"""Heads for seconds watched, by ``kind`` in ``[rank] watch_time = { kind = ... }``."""

TOWERS: Registry[object] = Registry(
    "tower",
    {
        "two_tower": "feedmill.models.two_tower:TwoTower",
        "youtube": "feedmill.models.youtube:YouTube",
        "matrix": "feedmill.models.matrix:Matrix",
    },
)
"""Retrieval models by ``model`` in a channel of kind "vector"."""
