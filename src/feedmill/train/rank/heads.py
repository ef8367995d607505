"""Which heads a ranker gets from the labels that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from feedmill.core.batches import SampleBatch
from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.progress import console
from feedmill.core.workspace import component
from feedmill.models import WATCH_TIME
from feedmill.models.heads.binary import BinaryHead
from feedmill.models.rank.config import in_order
from feedmill.samples.rows import ALL_HEADS

WATCH = "watch_s"  # the label that is seconds; all others are 0 or 1


def heads_of(samples: SampleBatch, config: Any, duration: Tensor) -> list[Any]:
    """A head for each label: of the configured kind for seconds watched, else binary.

    Args:
        duration: float32[C] seconds, NaN = unknown.

    Raises:
        DataError: seconds watched that the configured head cannot learn from.
    """
    return [
        _watch_head(config, samples, h, duration) if name == WATCH else BinaryHead()
        for h, name in enumerate(samples.heads)
    ]


def presupposed(names: Sequence[str], heads: Sequence[Any], given: Mapping[str, str]) -> list[tuple[int, int]]:
    """Columns of logits that presuppose others, for ``Ranker.presuppose``.

    A head that is not learned now, or whose other is not, stands by itself.

    Raises:
        ConfigError: there can be no such head, or it is not one of chances.
    """
    chances = [name for name in ALL_HEADS if name != WATCH]
    for name in {*given, *given.values()}:
        if name not in chances:
            raise ConfigError(f'rank.given: no chance of "{name}"', f"some of {chances}", nearest(name, chances))
    starts = np.cumsum([0, *(head.n_logits for head in heads)])
    column = {name: int(start) for name, start in zip(names, starts[:-1], strict=True)}
    return [(column[h], column[given[h]]) for h in in_order(given) if h in column and given[h] in column]


def losses_of(heads: Sequence[Any], logits: Sequence[Tensor], labels: Tensor, duration: Tensor) -> Tensor:
    """float32[B, H] losses of B rows, from each head's logits, float32[B, H] labels and float32[B] seconds."""
    each = [head.loss(z, labels[:, h], duration) for h, (head, z) in enumerate(zip(heads, logits, strict=True))]
    return torch.stack(each, dim=1)


def usable(samples: SampleBatch, config: Any) -> SampleBatch:
    """Samples with the labels that can be learned from; says which are left out, and why.

    A binary label needs rows of both classes with a known label, seconds need a watched row and a configured head.

    Raises:
        DataError: a label that is not finite where it is said to be known, or no label can be learned from.
    """
    wrong = samples.mask & ~np.isfinite(samples.labels)
    if wrong.any():
        names = [name for h, name in enumerate(samples.heads) if wrong[:, h].any()]
        raise DataError(f"labels of {names} that are not finite", "numbers, or a mask of False", "mask those rows")
    keep, why = [], []
    for h, name in enumerate(samples.heads):
        known = samples.labels[samples.mask[:, h], h]
        if name == WATCH and not config.watch_time:
            continue
        if len(known) and known.max() > 0 and (name == WATCH or known.min() < 1):
            keep.append(h)
        else:
            why.append(f'"{name}": {_one_class(known)}')
    if config.watch_time and WATCH not in samples.heads:
        why.append(
            f'"{WATCH}": the samples have no seconds watched: too few WATCH events, or samples.watch_time is off'
        )
    if not keep:
        raise DataError(
            f"no head can be learned from {len(samples):,} rows: {'; '.join(why)}",
            "rows of both classes for one head at least",
            "ingest feedback of both kinds, or see [samples] about how negatives are found",
        )
    for line in why:
        console.print(f"left out head {line}")
    return replace(
        samples,
        labels=np.ascontiguousarray(samples.labels[:, keep]),
        mask=np.ascontiguousarray(samples.mask[:, keep]),
        heads=tuple(samples.heads[h] for h in keep),
    )


def _watch_head(config: Any, samples: SampleBatch, h: int, duration: Tensor) -> Any:
    chosen = component(config.watch_time, WATCH_TIME, "rank.watch_time")
    known, cls = samples.mask[:, h], cast(Any, chosen.cls)
    return cls(chosen.config, samples.labels[known, h], duration.numpy()[known])


def _one_class(known: Any) -> str:
    if not len(known):
        return "no row has a known label"
    return f"all {len(known):,} labels are {known[0]:g}"
