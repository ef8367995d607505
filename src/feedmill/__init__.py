"""feedmill turns a log of what people saw and did into a feed, and keeps it learning.

>>> import feedmill
>>> feed = feedmill.open("demo")            # doctest: +SKIP
>>> feed.recommend("42", n=10).items        # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from feedmill.core.version import __version__

if TYPE_CHECKING:
    from feedmill.serve.engine import Engine

__all__ = ["__version__", "open"]


def open(path: str | Path) -> Engine:
    """The feed of a workspace folder, ready to ask: ``recommend``, ``append``, ``trace``, ``close``.

    Raises:
        FeedmillError: there is no workspace there, or its artifact cannot be used; the message says what to do.
    """
    from feedmill.core.workspace import Workspace
    from feedmill.serve.engine import Engine

    engine = Engine.open(Workspace.open(path))
    engine.warm()  # else the first feed would spend its deadline on compiling
    return engine
