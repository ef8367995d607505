"""FeatureSpec: which columns a model reads, in which order. Its hash travels with the model.

A **field** is a bag of ids (a single id is a bag of one) whose embeddings are averaged; every field names the
table its ids belong to, so the history of watched items and the candidate item share one table (Covington et
al. 2016). A **numeric** is one column of the state's counters and cross features, normalised by quantiles and
given to the model as x, x² and sqrt(x). **Attention** (target attention, Zhou et al., KDD 2018) reads a history once
more for every candidate, as a mean weighted by how like the candidate its items are; see ``attention.py``.

A field of few values needs no one-hot encoding of its own: row 0 of the table is the zero vector, so a value that is
unknown is all zeros, and an embedding followed by the first linear layer can be whatever a one-hot vector followed by
that layer can be, as long as there are no more values than ``embedding_dim``.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from feedmill.core.batches import ITEM_LANES, QUERY_LANES
from feedmill.core.config import Config
from feedmill.core.errors import ArtifactError

POWERS = 3  # x, x², sqrt(x)
CELL = "geohash/"  # sources of cells are "item.geohash/LENGTH/LATITUDE/LONGITUDE"


class FeaturesConfig(Config, frozen=True):
    """Section ``[features]``: what the models read of the log."""

    histories: Annotated[
        dict[str, list[int]],
        Meta(description="lane -> lengths; each length is a field, the average of that many newest items"),
    ] = msgspec.field(default_factory=lambda: {"clicked": [3, 10, 50], "liked": [20]})
    attributes: Annotated[bool, Meta(description="use every categorical attribute of users and items")] = True
    context: Annotated[bool, Meta(description="use hour of day and weekday (UTC)")] = True
    rates: Annotated[
        tuple[str, ...], Meta(description="smoothed ratios of two counters, per user, item, author, topic")
    ] = ("like.all/click.all", "click.all/impression.all")
    prior_count: Annotated[float, Meta(gt=0, description="strength of a rate's prior, in events")] = 20.0
    n_quantiles: Annotated[int, Meta(ge=2, le=1024, description="edges of the quantile normalisation")] = 64
    min_count: Annotated[int, Meta(ge=1, description="ids seen less often share the zero vector")] = 2
    top_items: Annotated[
        int, Meta(ge=0, description="only so many of the most frequent items have a vector of their own; 0 = all")
    ] = 0
    separate_items: Annotated[
        bool, Meta(description="the candidate's id has another table than the items of histories")
    ] = False
    only: Annotated[
        tuple[str, ...], Meta(description='sources of fields to keep, such as "user.clicked" or "item.*"; none = all')
    ] = ()
    leave_out: Annotated[tuple[str, ...], Meta(description="sources of fields to leave out, in the same words")] = ()
    numbers: Annotated[
        Literal["all", "static", "user", "none"],
        Meta(description="static: the user's, and those of items that do not change between publishes (for towers)"),
    ] = "all"
    numeric_attributes: Annotated[
        tuple[str, ...], Meta(description="user attributes to read as numbers too, such as age; with powers")
    ] = ()
    numeric_item_attributes: Annotated[
        tuple[str, ...],
        Meta(description="the same of items, such as quality, clarity, n_words, n_images"),
    ] = ()
    geohash: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=8)], ...],
        Meta(description="characters of the cells that users and items are in; each is a field of both, in one table"),
    ] = ()
    latitude: Annotated[str, Meta(description="attribute of users and items in degrees, for geohash")] = "latitude"
    longitude: Annotated[str, Meta(description="the same")] = "longitude"
    liked_topics: Annotated[bool, Meta(description="use the topics that most of the user's liked items have")] = False
    activity: Annotated[
        bool, Meta(description="use the time since the user's first and newest event: new from old, active from not")
    ] = False
    attention: Annotated[
        tuple[str, ...],
        Meta(
            description="histories that each candidate attends over, weighing their items by likeness to it; of the "
            'longest length that ``histories`` gives, and only where numbers = "all"'
        ),
    ] = ()
    example_age: Annotated[
        bool, Meta(description="the age of an example in training, 0 when served: what is new is told from what is old")
    ] = False
    searches: Annotated[int, Meta(ge=0, le=50, description="the user's newest searches, as the average of words")] = 0


class Field(msgspec.Struct, frozen=True):
    """``width`` ids from ``source`` ("user.clicked", "item.topics", …), looked up in ``table``."""

    name: str
    side: Literal["user", "item"]
    source: str
    table: str
    width: int = 1


class Numeric(msgspec.Struct, frozen=True):
    """One number from ``source``: "item.click.1d", "cross.author_last_s", "rate.item.like.all/click.all", of user or
    item "attribute.age", of the user "since.first_s", or "example.age_s"."""

    source: str
    side: Literal["user", "item"]


class FeatureSpec(msgspec.Struct, frozen=True):
    """The fields and numerics of one model.

    Attributes:
        tables: table name -> rows in the fused embedding table, zero vector not counted.
        state_hash: what the state counted when the spec was fitted; a state that counts otherwise is refused.
        until_ms: time of the newest event the spec was fitted on, which example ages count back from; 0 if none does.
        attention: names of the histories that candidates attend over.
    """

    fields: tuple[Field, ...]
    numerics: tuple[Numeric, ...]
    tables: dict[str, int]
    n_quantiles: int
    prior_count: float
    state_hash: str
    until_ms: int = 0
    attention: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Hex digest of everything above."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    @property
    def n_rows(self) -> int:
        """Rows of the fused embedding table; row 0 is the zero vector."""
        return 1 + sum(self.tables.values())

    def side(self, side: str) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.side == side)

    def numeric(self, side: str) -> tuple[Numeric, ...]:
        return tuple(n for n in self.numerics if n.side == side)

    def n_numbers(self, side: str, embedding_dim: int) -> int:
        """Columns of numbers of one side, what attention gives among the item's: a vector and a dot product each."""
        attended = len(self.attention) * (embedding_dim + 1) if side == "item" else 0
        return POWERS * len(self.numeric(side)) + attended

    def attended(self) -> tuple[list[tuple[int, int]], int]:
        """(first, last) columns of each attended history in the user's ids, and the column of the candidate's id in the
        item's."""
        starts, names = self.starts("user"), [f.name for f in self.side("user")]
        sources = [f.source for f in self.side("item")]
        columns = [(starts[i], starts[i + 1]) for i in (names.index(name) for name in self.attention)]
        return columns, self.starts("item")[sources.index("item.id")] if columns else 0

    def starts(self, side: str) -> list[int]:
        """Offsets of each field's ids in a row: field f has ids[starts[f]:starts[f + 1]]."""
        out = [0]
        for f in self.side(side):
            out.append(out[-1] + f.width)
        return out

    def offsets(self) -> dict[str, int]:
        """Table name -> the fused row before its first."""
        out, at = {}, 0
        for name, n in self.tables.items():
            out[name] = at
            at += n
        return out

    def check(self, state_hash: str, recorded: str = "") -> None:
        """Refuse to serve with other features than the model was trained on.

        Raises:
            ArtifactError: the state counts other things, or the spec is not the one that was recorded.
        """
        if recorded and recorded != self.hash:
            raise ArtifactError(
                f"feature spec {self.hash}",
                f"{recorded}, as the artifact's manifest says",
                "run `feedmill train`",
            )
        if state_hash != self.state_hash:
            raise ArtifactError(
                f"the state's settings ({state_hash}) are not those the model was trained with",
                f"state settings {self.state_hash}",
                "undo the change to [state] in feedmill.toml, or run `feedmill train`",
            )


def lanes(config: FeaturesConfig) -> list[tuple[str, int]]:
    """(lane, length) pairs, refusing lanes the state does not keep."""
    from feedmill.core.config import nearest
    from feedmill.core.errors import ConfigError

    for lane in config.histories:
        if lane in QUERY_LANES:
            raise ConfigError(f'features.histories: "{lane}" holds queries', f"a lane of items: {list(ITEM_LANES)}")
        if lane not in ITEM_LANES:
            raise ConfigError(
                f'features.histories: no lane "{lane}"', f"one of {list(ITEM_LANES)}", nearest(lane, ITEM_LANES)
            )
    return [(lane, n) for lane, lengths in config.histories.items() for n in lengths]


def as_dict(spec: FeatureSpec) -> dict[str, Any]:
    """Plain values for a manifest; ``FeatureSpec`` comes back with ``from_dict``."""
    plain: dict[str, Any] = msgspec.to_builtins(spec)
    return plain


def from_dict(plain: Any) -> FeatureSpec:
    """The inverse of ``as_dict``.

    Raises:
        ArtifactError: not a spec this version understands.
    """
    try:
        return msgspec.convert(plain, FeatureSpec)
    except msgspec.ValidationError as e:
        raise ArtifactError(
            f"a feature spec that cannot be read: {e}", "one this version wrote", "train again"
        ) from None
