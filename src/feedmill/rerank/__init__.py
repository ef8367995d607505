"""Re-rank: the heads' scores become one value (``fuse``), then rules see to the slate as a whole."""

from __future__ import annotations

from typing import Any

from feedmill.core.registry import Registry
from feedmill.rerank.fusion import FusionConfig, check, fuse

RULES: Registry[Any] = Registry(
    "rule",
    {
        "dpp": "feedmill.rerank.dpp:DPP",
        "duplicates": "feedmill.rerank.duplicates:Duplicates",
        "mmr": "feedmill.rerank.mmr:MMR",
        "slots": "feedmill.rerank.slots:Slots",
        "window": "feedmill.rerank.window:Window",
    },
)

__all__ = ["RULES", "FusionConfig", "check", "fuse"]
