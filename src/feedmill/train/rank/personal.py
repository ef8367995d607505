"""Plug the configured personal gates into a ranker."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import component
from feedmill.features import FeatureSpec
from feedmill.features.spec import POWERS
from feedmill.models import PERSONAL
from feedmill.models.rank.ranker import Ranker

IDS = {"user": ("user.id",), "item": ("item.id", "item.author")}  # the fields that say who and what, by side


def personalised(model: Ranker, config: Any, spec: FeatureSpec, sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Give the ranker the gates of ``config.personal``; none leaves it as it is.

    Args:
        sizes: the fields and numbers of user and item.
    """
    if not config.personal:
        return
    chosen = component(config.personal, PERSONAL, "rank.personal")
    user, item = (
        tuple(i for i, field in enumerate(spec.side(side)) if field.source in sources) for side, sources in IDS.items()
    )
    build: Any = chosen.cls
    code = code_columns(spec, getattr(chosen.config, "code", ()))
    gates = build(chosen.config, *sizes, model.gated, embedding_dim=config.embedding_dim, ids=(user, item), code=code)
    model.personalise(gates)


def code_columns(spec: FeatureSpec, wanted: Sequence[str]) -> list[int]:
    """Columns of the user's numbers, all powers, whose sources match one of the patterns.

    Raises:
        ConfigError: a pattern matches none.
    """
    sources = [numeric.source for numeric in spec.numeric("user")]
    for pattern in wanted:
        if not any(fnmatch(source, pattern) for source in sources):
            raise ConfigError(
                f'rank.personal.code = "{pattern}"',
                f"a number of the user, one of {sources}",
                nearest(pattern, sources),
            )
    kept = [i for i, source in enumerate(sources) if any(fnmatch(source, pattern) for pattern in wanted)]
    return [power * len(sources) + i for power in range(POWERS) for i in kept]
