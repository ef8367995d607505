"""Text encoders and the model that trains two sides of them (DSSM): embedded ids in, one vector a text out."""

from feedmill.core.registry import Registry

ENCODERS: Registry[object] = Registry(
    "encoder",
    {
        "bag": "feedmill.models.text.bag:BagEncoder",
        "cnn": "feedmill.models.text.cnn:CNNEncoder",
        "lstm": "feedmill.models.text.lstm:LSTMEncoder",
    },
)
"""Text encoders by ``kind`` in ``[train.NAME]`` of a channel of kind "text"."""
