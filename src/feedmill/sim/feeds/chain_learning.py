"""What a simulated workspace does at night: popularity at first, then a training, then the nightly update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from feedmill.core.batches import Part
from feedmill.core.config import Config
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.features.spec import from_dict
from feedmill.log.whole import open_log
from feedmill.publish import PublishConfig, collect, load, promote, publishing, write
from feedmill.state import Replay


class NightsConfig(Config, frozen=True):
    """When the models learn, and how."""

    first: Annotated[int, Meta(ge=0, description="the day (0, 1, …) in whose night the models are first trained")] = 0
    then: Annotated[
        Literal["retrain", "update", "none"],
        Meta(description="retrain: anew on all that the log has; update: on from the version before; none: no more"),
    ] = "retrain"
    every: Annotated[int, Meta(ge=1, description="nights from one to the next")] = 1


class Nights:
    """Learns at the end of days: a version is trained or updated, published and promoted without a gate, since nobody
    is harmed by a bad one here and its harm is what is to be measured.

    Args:
        workspace: whose log is learned from.
        config: see NightsConfig.
        said: told a line about each night.
    """

    def __init__(
        self, workspace: Workspace, config: NightsConfig | None = None, said: Callable[[str], None] | None = None
    ) -> None:
        self._at, self._config, self._said = workspace, config or NightsConfig(), said

    def __call__(self, day: int) -> str:
        """The night after a day; the version that is promoted, "" for none.

        Raises:
            FeedmillError: the config cannot be trained.
        """
        since = day - self._config.first
        if since < 0 or since % self._config.every or (since and self._config.then == "none"):
            return ""
        try:
            parts, about = self._updated() if since and self._config.then == "update" else self._trained()
        except DataError as error:  # a day on which too little happened
            if self._said is not None:
                self._said(f"night {day}: {error}")
            return ""
        about["specs"] = {n: from_dict(p.config["spec"]).hash for n, p in parts.items() if "spec" in p.config}
        with publishing(self._at.artifacts):
            version = write(self._at.artifacts, parts, about)
            promote(self._at.artifacts, version, None, who="simulate", why=f"night {day}")
            collect(self._at.artifacts, self._at.section("publish", PublishConfig).keep)
        return version

    def _trained(self) -> tuple[Mapping[str, Part], dict[str, Any]]:
        from feedmill.train import fit

        log = open_log(self._at)
        try:
            fitted = fit(self._at, log)
        finally:
            log.close()
        return fitted.parts, {**fitted.about, "from_offset": 0}

    def _updated(self) -> tuple[Mapping[str, Part], dict[str, Any]]:
        from feedmill.train.update.nightly import nightly

        base = load(self._at.artifacts)
        night = nightly(self._at, base.parts, int(base.about["offset"]), Replay.of_workspace(self._at))
        return night.parts, {**night.about, "base": base.version}
