"""What answers at the moment: the pipeline of the promoted artifact, swapped as one when another is promoted, and
beside it one for every set of things that experiments change."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from feedmill.core.config import override
from feedmill.core.errors import ArtifactError, ConfigError, FeedmillError
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.publish import Artifact, current, load
from feedmill.serve.build import Builder
from feedmill.serve.config import ServeConfig
from feedmill.serve.live import LiveState
from feedmill.serve.made import Made
from feedmill.serve.pipeline import Pipeline

VERSION = "publish.version"  # an experiment sets it to serve an arm with a version that is not promoted
MOST = 4096  # sets of changes kept ready


class Served(NamedTuple):
    """A pipeline, what it has to do without, and the budget of its requests."""

    pipeline: Pipeline
    missing: tuple[str, ...]
    deadline_ms: float


class _Loaded(NamedTuple):
    artifact: Artifact | None
    made: Made


class Model:
    """The promoted artifact as a pipeline on a live state.

    Attributes:
        served: take it once per request; it is replaced, never changed.

    Raises:
        ConfigError: the config cannot be used.
        ArtifactError: the promoted artifact is damaged, or was built from another log or feature spec.
    """

    def __init__(self, workspace: Workspace, live: LiveState) -> None:
        self._workspace, self._root, self._live = workspace, workspace.artifacts, live
        self._kept = Made()
        self._reloading, self._building = threading.Lock(), threading.Lock()
        self._refused: tuple[str, ArtifactError] = "", ArtifactError("")
        self._loaded: dict[str, _Loaded] = {}
        self._changed: dict[bytes, Served | FeedmillError] = {}
        self.served = self._build({}, current(self._root) or "")

    def of(self, changes: Mapping[str, Any]) -> Served:
        """The pipeline with some settings changed, by dotted path; made at the first call, then kept ready.

        Raises:
            ConfigError: a path that nothing reads, or a value that is not allowed there.
            ArtifactError: the version that it names cannot be used.
        """
        if not changes:
            return self.served
        key = msgspec.json.encode(changes, order="sorted")
        found = self._changed.get(key) or self._change(key, changes)
        if isinstance(found, FeedmillError):
            raise found
        return found

    def check(self, changes: Mapping[str, Any]) -> None:
        """Whether a treatment that sets these can be served.

        Raises:
            ConfigError: a path that nothing reads, a value that is not allowed, or what is not trained.
            ArtifactError: the version that it names cannot be used.
        """
        lacks = sorted(set(self.of(changes).missing) - set(self.served.missing))
        if lacks:
            paths = ", ".join(sorted(changes))
            fix = "put it into feedmill.toml and run `feedmill train` first"
            raise ConfigError(f"{paths}: {'; '.join(lacks)}", "settings that the trained model has all for", fix)

    def reload(self, now_ms: int) -> bool:
        """Swap in the promoted artifact if it is another one; requests under way finish with the old one.

        Raises:
            ArtifactError: it cannot be used; the old one goes on serving. It is not verified again before
                another version has been promoted.
        """
        with self._reloading:
            version = current(self._root) or ""
            if version == self.served.pipeline.chain.version:
                return False
            if version == self._refused[0]:
                raise self._refused[1]
            self._live.follow()
            try:
                served = self._build({}, version)
            except ArtifactError as error:
                self._refused = version, error
                raise
            self.warm(now_ms, served)
            with self._building:
                self.served, self._changed, self._loaded = served, {}, {version: self._loaded[version]}
            return True

    def warm(self, now_ms: int, served: Served | None = None) -> None:
        """Compile and touch what a first request, of a user known or not, would have to wait for."""
        state, pipeline = self._live.state, (served or self.served).pipeline
        for user_id in dict.fromkeys(["", *state.users.ids(range(1, min(2, len(state.users))))]):
            request = FeedRequest(request_id="warm", user_id=user_id, time_ms=now_ms, deadline_ms=1e9)
            with self._live.lock.reading():
                pipeline.recommend(request, state.view(user_id, now_ms))

    def _change(self, key: bytes, changes: Mapping[str, Any]) -> Served | FeedmillError:
        with self._building:
            if key not in self._changed:
                others = {path: value for path, value in changes.items() if path != VERSION}
                version = str(changes.get(VERSION, self.served.pipeline.chain.version))
                if len(self._changed) >= MOST:
                    self._changed.clear()
                try:
                    self._changed[key] = self._build(others, version)
                except FeedmillError as error:  # remembered, so that requests do not try it again and again
                    self._changed[key] = error
            return self._changed[key]

    def _build(self, changes: Mapping[str, Any], version: str) -> Served:
        workspace = self._workspace
        if changes:
            workspace = Workspace(workspace.path, override(workspace.raw, changes))
        builder = Builder(workspace, self._live.state, self._kept)
        loaded = self._loaded.get(version) or _Loaded(load(self._root, version) if version else None, Made())
        with self._live.lock.reading():
            chain, missing = builder.chain(loaded.artifact, loaded.made)
        self._loaded[version] = loaded
        return Served(
            Pipeline(chain, builder.names), tuple(missing), workspace.section("serve", ServeConfig).deadline_ms
        )
