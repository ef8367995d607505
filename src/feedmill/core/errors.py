"""Errors are written for the person who meets them: what was given, what was expected, what to do."""

from __future__ import annotations


class FeedmillError(Exception):
    """Base of every error feedmill raises on purpose.

    Args:
        given: what was found, with its value.
        expected: what would have been right.
        fix: the next thing the reader can do.
    """

    status = 500  # the HTTP status an error of this kind answers with

    def __init__(self, given: str, expected: str = "", fix: str = "") -> None:
        self.given, self.expected, self.fix = given, expected, fix
        super().__init__(given)

    def __str__(self) -> str:
        lines = [self.given]
        if self.expected:
            lines.append(f"expected: {self.expected}")
        if self.fix:
            lines.append(f"do: {self.fix}")
        return "\n  ".join(lines)


class ConfigError(FeedmillError):
    """A config file or override that cannot be used."""

    status = 400


class DataError(FeedmillError):
    """Input data (events, items, mapping files, requests) that cannot be used."""

    status = 422


class LogError(FeedmillError):
    """The event log cannot be read or written; nothing was acknowledged."""

    status = 503


class ArtifactError(FeedmillError):
    """An artifact is missing, corrupt, or was built from another log or feature spec."""

    status = 503


class WorkspaceError(FeedmillError):
    """The workspace folder is missing, incomplete, or in use by another process."""

    status = 409


class NotFoundError(FeedmillError):
    """Something was asked for by name and does not exist."""

    status = 404
