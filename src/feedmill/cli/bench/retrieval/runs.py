"""What is measured on each split, and how its parameters were chosen: retrieval_runs.toml, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from feedmill.core.config import Config, convert, read_toml

FILE = Path(__file__).with_name("runs.toml")
MERGE = "merge"


class Run(Config, frozen=True):
    """One row of the table: a channel with its parameters, or a merge of channels."""

    kind: Annotated[str, Meta(description='kind of the channel; "merge" adds up the answers of others')]
    chosen: Annotated[str, Meta(min_length=1, description="how these parameters were chosen, in words")]
    config: Annotated[dict[str, Any], Meta(description="the channel's parameters")] = {}
    sections: Annotated[
        dict[str, Any],
        Meta(description="of a channel that learns: sections of feedmill.toml, such as train.NAME, features, state"),
    ] = {}
    channels: Annotated[tuple[str, ...], Meta(description="merge: rows of the same split that it adds up")] = ()
    weights: Annotated[dict[str, float], Meta(description="merge: weight of a channel; 1 for those not named")] = {}
    scale: Annotated[Literal["sum", "rank", "max"], Meta(description="merge: as in [retrieval.merge]")] = "sum"
    depth: Annotated[int, Meta(ge=20, le=300, description="merge: items of each channel that it adds up")] = 300


def runs(split: str, file: Path = FILE) -> dict[str, Run]:
    """The rows of a split by name, in the order of the file: those of ``all``, then its own, which replace them.

    Raises:
        ConfigError: an unknown key, or a merge of rows that do not stand before it.
    """
    raw = read_toml(file)
    blocks = {**raw.get("all", {}), **raw.get(split, {})}
    found = {name: convert(block, Run, f"{split}.{name}") for name, block in blocks.items()}
    merges = {name: run for name, run in found.items() if run.kind == MERGE}
    return {**{name: run for name, run in found.items() if name not in merges}, **merges}
