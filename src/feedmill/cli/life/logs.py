"""The embedded log of a workspace, for what no other log can do."""

from __future__ import annotations

from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import open_log


def embedded(at: Workspace) -> SqliteLog:
    """The log, opened.

    Raises:
        ConfigError: the workspace has another kind.
        LogError: it cannot be opened.
    """
    log = open_log(at)
    if isinstance(log, SqliteLog):
        return log
    log.close()
    given = f'[log] kind = "{at.raw.get("log", {}).get("kind", "sqlite")}"'
    raise ConfigError(given, 'kind = "sqlite"', "drop, rewrite and compact a log of another kind where it lives")
