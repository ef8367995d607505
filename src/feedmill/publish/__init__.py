"""Trained parts as versioned, verified folders: write, promote, roll back, load.

::

    artifacts/
      current              the promoted version on the first line, the ones before it below, newest first
      history.jsonl        who promoted what, when and why
      3f9a1c07b2de/
        manifest.json      what it is, where it comes from, the sha256 and size of every file
        itemcf/item.npy
        rank/graph.onnx
"""

from feedmill.publish.artifact import Artifact, load
from feedmill.publish.gate import Gate, PublishConfig
from feedmill.publish.pointer import current, history
from feedmill.publish.promotions import Promotion, promotions
from feedmill.publish.running import publishing
from feedmill.publish.store import Version, collect, promote, rollback, verify, versions
from feedmill.publish.writer import write

__all__ = [
    "Artifact",
    "Gate",
    "Promotion",
    "PublishConfig",
    "Version",
    "collect",
    "current",
    "history",
    "load",
    "promote",
    "promotions",
    "publishing",
    "rollback",
    "verify",
    "versions",
    "write",
]
