"""What answers at the moment: the pipeline of the promoted artifact, swapped as one when another is promoted."""

from __future__ import annotations

import threading
from typing import NamedTuple

from feedmill.core.errors import ArtifactError
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.publish import current, load
from feedmill.serve.build import Builder
from feedmill.serve.live import LiveState
from feedmill.serve.pipeline import Pipeline


class Served(NamedTuple):
    """A pipeline, and what it has to do without."""

    pipeline: Pipeline
    missing: tuple[str, ...]


class Model:
    """The promoted artifact as a pipeline on a live state.

    Attributes:
        served: take it once per request; it is replaced, never changed.

    Raises:
        ConfigError: the config cannot be used.
        ArtifactError: the promoted artifact is damaged, or was built from another log or feature spec.
    """

    def __init__(self, workspace: Workspace, live: LiveState) -> None:
        self._root, self._live = workspace.artifacts, live
        self._builder = Builder(workspace, live.state)
        self._reloading = threading.Lock()
        self._refused: tuple[str, ArtifactError] = "", ArtifactError("")
        self.served = self._load()

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
                served = self._load()
            except ArtifactError as error:
                self._refused = version, error
                raise
            self.warm(now_ms, served)
            self.served = served
            return True

    def warm(self, now_ms: int, served: Served | None = None) -> None:
        """Compile and touch what a first request, of a user known or not, would have to wait for."""
        state, pipeline = self._live.state, (served or self.served).pipeline
        for user_id in dict.fromkeys(["", *state.users.ids(range(1, min(2, len(state.users))))]):
            request = FeedRequest(request_id="warm", user_id=user_id, time_ms=now_ms, deadline_ms=1e9)
            with self._live.lock.reading():
                pipeline.recommend(request, state.view(user_id, now_ms))

    def _load(self) -> Served:
        version = current(self._root)
        artifact = load(self._root, version) if version else None
        with self._live.lock.reading():
            chain, missing = self._builder.chain(artifact)
        return Served(Pipeline(chain, self._builder.names), tuple(missing))
