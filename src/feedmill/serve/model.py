"""What answers at the moment: the pipeline of the promoted artifact, swapped as one when another is promoted, and
beside it one for every set of things that experiments change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from feedmill.core.config import override
from feedmill.core.errors import ArtifactError, ConfigError, FeedmillError
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.experiments.paths import VERSION
from feedmill.publish import current, delta, load
from feedmill.serve.build import Builder
from feedmill.serve.config import ServeConfig
from feedmill.serve.live import LiveState
from feedmill.serve.made import Made
from feedmill.serve.pipeline import Pipeline

MOST = 4096  # sets of changes kept ready


class Loaded:
    """A version ("" = none), what has been made of it, and the last of its deltas that it has."""

    def __init__(self, root: Path, version: str) -> None:
        self._root, self.steps, self.made = root, 0, Made()
        self.artifact = load(root, version, private=delta.MOVING) if version else None
        self.take_up(nullcontext)

    def take_up(self, alone: Callable[[], AbstractContextManager[None]]) -> None:
        """The rows that have moved since; ``alone``: to be entered while nobody reads."""
        if self.artifact is None:
            return
        moved = delta.newest(self._root, self.artifact.version, after=self.steps)
        if moved is not None:
            with alone():
                delta.apply(self.artifact, moved)
            self.steps = moved.seq


class Served(NamedTuple):
    """A pipeline, what it has to do without, the budget of its requests, and the version it is of."""

    pipeline: Pipeline
    missing: tuple[str, ...]
    deadline_ms: float
    loaded: Loaded


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
        self._loaded: dict[str, Loaded] = {}
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
        """Take up rows that have moved, and swap in the promoted artifact if it is another one; requests under way
        finish with the old one.

        Raises:
            ArtifactError: it cannot be used; the old one goes on serving. It is not verified again before
                another version has been promoted.
        """
        with self._reloading:
            for loaded in list(self._loaded.values()):
                loaded.take_up(self._live.lock.writing)
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
        loaded = self._loaded.get(version) or Loaded(self._root, version)
        with self._live.lock.reading():
            chain, missing = builder.chain(loaded.artifact, loaded.made)
        self._loaded[version] = loaded
        deadline_ms = workspace.section("serve", ServeConfig).deadline_ms
        return Served(Pipeline(chain, builder.names), tuple(missing), deadline_ms, loaded)
