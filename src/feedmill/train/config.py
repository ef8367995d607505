"""What the offline pass reads of feedmill.toml, beside each model's own parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from feedmill.core.config import Config, convert, nearest
from feedmill.core.errors import ConfigError
from feedmill.core.registry import Registry
from feedmill.core.workspace import component
from feedmill.features import FeaturesConfig
from feedmill.models import RANKERS
from feedmill.models.losses import RetrievalLossConfig
from feedmill.samples.frequency import FrequencyConfig
from feedmill.samples.negatives import NegativesConfig
from feedmill.samples.positives import PositivesConfig
from feedmill.train.retrieval.views import SelfSupervisedConfig


class TrainConfig(Config, frozen=True):
    """Section ``[train]``; one ``[train.NAME]`` for each channel of kind "vector" has its model's parameters."""

    seed: Annotated[int, Meta(ge=0, description="of every draw; the same seed and log give the same artifact")] = 0
    n_threads: Annotated[int, Meta(ge=0, description="threads of torch; 0 = all cores")] = 0


class Fitting(Config, frozen=True):
    """How long and how fast a model learns; these keys stand beside the model's own, in [rank] and [train.NAME]."""

    epochs: Annotated[int, Meta(ge=1, description="passes over the samples")] = 6
    batch_size: Annotated[int, Meta(ge=1, description="requests per step")] = 512
    learning_rate: Annotated[float, Meta(gt=0, description="of Adam, on rows and weights alike")] = 2e-3
    anneal: Annotated[bool, Meta(description="let the learning rate fall to 0 in a straight line over the epochs")] = (
        False
    )


class ObjectiveConfig(Config, frozen=True):
    """What else a retrieval model's training may read, beside its own keys in [train.NAME]."""

    temperature: Annotated[float, Meta(gt=0, description="similarities are divided by it in the loss")] = 0.07
    item_bias: Annotated[
        bool,
        Meta(
            description="a number per item beside its vector, learned and served with it: what everybody likes need not"
            " be said by directions; inner products only"
        ),
    ] = False
    negatives: Annotated[NegativesConfig, Meta(description="where negatives come from")] = NegativesConfig()
    frequency: Annotated[
        FrequencyConfig | None,
        Meta(description="estimate how often an item is a positive from the stream; none = counts of the whole log"),
    ] = None
    self_supervised: Annotated[
        SelfSupervisedConfig | None, Meta(description="two views of any item lie near each other; none = no such loss")
    ] = None


FITTING_KEYS = tuple(Fitting.__struct_fields__)
_STRUCTS: tuple[type[Config], ...] = (Fitting, PositivesConfig, RetrievalLossConfig, ObjectiveConfig)
_KEYS = {kind: tuple(kind.__struct_fields__) for kind in _STRUCTS}


@dataclass(frozen=True, slots=True)
class TowerPlan:
    """How the model of one vector channel is made: the block [train.NAME] over the model's own defaults."""

    name: str
    kind: str
    cls: Any
    config: Any
    fitting: Fitting
    positives: PositivesConfig
    loss: RetrievalLossConfig
    objective: ObjectiveConfig
    features: FeaturesConfig

    @staticmethod
    def of(name: str, block: Mapping[str, Any], registry: Registry[Any], features: Mapping[str, Any]) -> TowerPlan:
        """Raises ConfigError on what nobody reads, or on values out of range.

        Args:
            features: the section [features], which ``features`` of the block adds to.
        """
        at = f"train.{name}"
        if block.get("kind") in set(RANKERS) - set(registry):
            raise ConfigError(
                f'{at}.kind = "{block["kind"]}" fuses user and item early: it scores pairs, and has no item vectors',
                f"late fusion, one of {list(registry)}: what an index can hold, so that no item has to be scored",
                f'put "{block["kind"]}" under [rank], which scores the few hundred candidates that retrieval brings',
            )
        own = [*(key for keys in _KEYS.values() for key in keys), "features"]
        kind = block.get("kind", name)
        if kind in list(registry):
            _refuse_unknown(block, ["kind", *own, *registry[kind].Config.__struct_fields__], at)
        chosen = component(block or True, registry, at, name, own)
        given: dict[str, Any] = _over(getattr(chosen.cls, "defaults", {}), chosen.own)
        parts: dict[Any, Any] = {
            kind: convert({k: given[k] for k in keys if k in given}, kind, at) for kind, keys in _KEYS.items()
        }
        if given.get("features", {}).get("attention"):
            raise ConfigError(
                f"{at}.features.attention reads user and item together",
                "late fusion: what an index can hold",
                "put it under [features], for the ranker",
            )
        reads = convert(
            _over(features, {**given.get("features", {}), "attention": []}), FeaturesConfig, f"{at}.features"
        )
        return TowerPlan(
            chosen.name, chosen.kind, chosen.cls, chosen.config,
            parts[Fitting], parts[PositivesConfig], parts[RetrievalLossConfig], parts[ObjectiveConfig], reads,
        )  # fmt: skip

    def explained(self) -> list[tuple[str, msgspec.Struct]]:
        """(dotted path, struct) of everything the block may set."""
        at = f"train.{self.name}"
        return [
            (at, self.config), (at, self.fitting), (at, self.positives), (at, self.loss), (at, self.objective),
            (f"{at}.features", self.features),
        ]  # fmt: skip


def _refuse_unknown(block: Mapping[str, Any], known: Sequence[str], at: str) -> None:
    """The keys of a block belong to several structs: an error names the nearest among all of them."""
    for key in block:
        if key not in known:
            raise ConfigError(f'unknown key "{at}.{key}"', f"one of {sorted(known)}", nearest(key, known))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` where it has a key, tables key by key, else ``below``."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
