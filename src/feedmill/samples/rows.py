"""Training rows of the ranker: requests with candidates and labels per head.

With impressions in the log a row is an impression, and its labels are the feedback that followed; the impressions of
one request are candidates of one request, which knows of none of them. Without them
(MovieLens) every consumed item is a request, and the other candidates are **drawn**: the negatives of "click" are
then items the user never touched in the training log, half uniform over the catalogue and half by popularity^0.75.
A model trained so orders items; its "click" is not a click rate.

``keep_share`` and ``keep_negatives`` leave out rows (``samples.down_sampling``); ``watch_time`` adds the label
"watch_s": the seconds watched where the log reports them, 0 where nothing came of the row, and not known where there
was feedback without seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta, structs
from numpy.typing import NDArray

from feedmill.core.batches import LANES, Floats, Mask, ProbeBatch, Rows, SampleBatch
from feedmill.core.clock import rng
from feedmill.core.errors import ConfigError
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.samples.down_sampling import DownSampling, down_sampled, newest
from feedmill.samples.splits import asked_at, moments
from feedmill.samples.watch_seconds import WATCH_HEAD, watch_seconds
from feedmill.state import State

# What counts as each head's positive. A head exists when the log has enough of them.
HEADS: dict[str, tuple[Kind, ...]] = {
    "click": LANES["clicked"],
    "finish": (Kind.FINISH,),
    "like": (Kind.LIKE,),
    "favourite": (Kind.FAVOURITE,),
    "share": (Kind.SHARE,),
    "comment": (Kind.COMMENT,),
    "follow": (Kind.FOLLOW,),
}
ALL_HEADS = (*HEADS, WATCH_HEAD)


class SamplesConfig(DownSampling, frozen=True):
    """Section ``[samples]``."""

    negatives: Annotated[
        Literal["auto", "shown", "drawn"],
        Meta(description="shown: impressions without feedback; drawn: sampled items; auto: shown where there are any"),
    ] = "auto"
    n_negatives: Annotated[int, Meta(ge=1, le=100, description="drawn negatives per positive")] = 8
    popular_share: Annotated[float, Meta(ge=0, le=1, description="share drawn by popularity^0.75, else uniform")] = 0.5
    window_s: Annotated[float, Meta(gt=0, description="feedback within this many seconds labels a row")] = 86_400.0
    min_positives: Annotated[int, Meta(ge=1, description="a head needs this many")] = 50
    max_requests: Annotated[
        int, Meta(ge=1, description="the newest requests or impressions at most, to bound memory")
    ] = 500_000
    watch_time: Annotated[
        bool, Meta(description='label rows with the seconds watched too, as head "watch_s", if there are enough')
    ] = False


def as_shown(config: SamplesConfig) -> SamplesConfig:
    """The same with a row for every impression, none left out, and seconds as a label, whatever a ranker learns."""
    return structs.replace(
        config, negatives="shown", keep_share=1.0, keep_negatives=1.0, watch_time=True, min_positives=1
    )


def sample(events: EventBatch, state: State, config: SamplesConfig, seed: int) -> tuple[SampleBatch, str]:
    """Rows of a training log, probes addressed by position in ``events``.

    Args:
        events: in log order; ids must already have rows in ``state``.

    Returns:
        samples, and a sentence that says how the negatives came to be.

    Raises:
        ConfigError: a share of drawn negatives is to be kept, or seconds are to be corrected for it afterwards.
    """
    if config.watch_time and config.keep_negatives < 1 and config.undo_sampling == "correct":
        raise ConfigError(
            'samples.watch_time with keep_negatives below 1 and undo_sampling = "correct", a formula for probabilities',
            'undo_sampling = "weigh", which is right for seconds too',
            'set samples.undo_sampling = "weigh"',
        )
    kind = events.numpy("kind")
    heads = tuple(h for h, kinds in HEADS.items() if np.isin(kind, kinds).sum() >= config.min_positives)
    shown = is_shown(events, config)
    anchor_kinds = (Kind.IMPRESSION,) if shown else (LANES["clicked"] if "click" in heads else LANES["liked"])
    frame = _frame(events, state)
    anchors = frame.filter(pl.col("kind").is_in([int(k) for k in anchor_kinds]), pl.col("user") > 0, pl.col("item") > 0)
    if not shown:
        anchors = anchors.unique(["user", "item"], keep="first", maintain_order=True)
    n_before = config.max_requests / (config.keep_share * config.keep_negatives)  # so that as many are left
    anchors = anchors.tail(min(len(anchors), int(n_before)))
    heads, labels, mask = _all_labels(anchors, frame, heads, config)
    if shown:
        rows = _shown(anchors, labels, mask, heads, events)
        batch = newest(down_sampled(rows, config, seed), config.max_requests)
        return batch, f"{len(anchors):,} impressions, without feedback = negative{_kept_words(batch, config)}"
    if config.keep_negatives < 1:
        raise ConfigError(
            f"samples.keep_negatives = {config.keep_negatives}, and this log has no impressions to leave out",
            "1 where negatives are drawn",
            f"set samples.n_negatives, {config.n_negatives} per positive now, to learn from fewer",
        )
    drawn = _drawn(anchors, labels, mask, heads, events, frame, state, config, seed)
    batch = newest(down_sampled(drawn, config, seed), config.max_requests)
    return batch, (
        f"{len(anchors):,} positives, each with {config.n_negatives} items the user never touched "
        f"({config.popular_share:.0%} by popularity^0.75, the rest uniform){_kept_words(batch, config)}"
    )


def is_shown(events: EventBatch, config: SamplesConfig) -> bool:
    """Whether rows are impressions, as the log and ``config.negatives`` have it; else other candidates are drawn."""
    kind = events.numpy("kind")
    n_shown = (kind == Kind.IMPRESSION).sum()
    n_clicked = max((kind == k).sum() for k in LANES["clicked"])  # a view may be a click, a watch and a finish
    return config.negatives == "shown" or bool(config.negatives == "auto" and n_shown >= max(1, n_clicked))


def _kept_words(batch: SampleBatch, config: SamplesConfig) -> str:
    if config.keep_share == config.keep_negatives == 1:
        return ""
    return f"; of them {len(batch):,} rows kept: {config.keep_share:g} of all, {config.keep_negatives:g} of negatives"


def _frame(events: EventBatch, state: State) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "at": np.arange(len(events)),
            "kind": events.numpy("kind"),
            "time_ms": events.numpy("time_ms"),
            "user": state.users.rows(events.table.column("user_id")),
            "item": state.items.rows(events.table.column("item_id")),
            "value": events.numpy("value"),
        }
    ).filter(pl.col("kind") < N_COUNTED)


def _all_labels(
    anchors: pl.DataFrame, frame: pl.DataFrame, heads: tuple[str, ...], config: SamplesConfig
) -> tuple[tuple[str, ...], Floats, Mask]:
    """Heads, float32[n, H] labels and bool[n, H] where they are known: feedback, then seconds watched."""
    labels = _labels(anchors, frame, heads, config.window_s)
    mask = np.ones_like(labels, np.bool_)
    if not config.watch_time:
        return heads, labels, mask
    seconds, is_reported = watch_seconds(anchors, frame, config.window_s)
    if is_reported.sum() < config.min_positives:
        return heads, labels, mask
    is_known = is_reported | ~labels.any(axis=1)
    return (*heads, WATCH_HEAD), np.column_stack([labels, seconds]), np.column_stack([mask, is_known])


def _labels(anchors: pl.DataFrame, frame: pl.DataFrame, heads: tuple[str, ...], window_s: float) -> Floats:
    """float32[n, H]: whether feedback of each head followed the anchor within the window (or stood with it)."""
    out = np.zeros((len(anchors), len(heads)), np.float32)
    keyed = anchors.select("user", "item", pl.col("time_ms").alias("from_ms"), pl.col("at").alias("from_at"))
    keyed = keyed.with_row_index("row")
    for h, head in enumerate(heads):
        feedback = frame.filter(pl.col("kind").is_in([int(k) for k in HEADS[head]]))
        hits = keyed.join(feedback, on=["user", "item"]).filter(
            pl.col("at") >= pl.col("from_at"), pl.col("time_ms") - pl.col("from_ms") <= window_s * 1e3
        )
        out[hits["row"].unique().to_numpy(), h] = 1.0
    return out


def _shown(
    anchors: pl.DataFrame, labels: Floats, mask: Mask, heads: tuple[str, ...], events: EventBatch
) -> SampleBatch:
    """Requests as they were asked: what was shown together is judged by what was known before any of it was."""
    asked = asked_at(events)[anchors["at"].to_numpy()]
    order = np.argsort(asked, kind="stable")
    at, first, request_of = np.unique(asked[order], return_index=True, return_inverse=True)
    probe = ProbeBatch(
        user=anchors["user"].to_numpy()[order][first],
        time_ms=events.numpy("time_ms")[at],
        at=at,
        item=anchors["item"].to_numpy()[order],
        request_of=request_of.astype(np.int32),
    )
    return SampleBatch(probe, labels[order], mask[order], np.ones(len(order), np.float32), heads)


def _drawn(
    anchors: pl.DataFrame,
    labels: Floats,
    known: Mask,
    heads: tuple[str, ...],
    events: EventBatch,
    frame: pl.DataFrame,
    state: State,
    config: SamplesConfig,
    seed: int,
) -> SampleBatch:
    n, width = len(anchors), 1 + config.n_negatives
    at = moments(events, anchors["at"].to_numpy())  # an impression of the positive would tell it from what is drawn
    order = np.argsort(at, kind="stable")
    anchors, at, labels, known = anchors[order], at[order], labels[order], known[order]
    user = anchors["user"].to_numpy()
    negatives, is_free = draw(user, frame, len(state.items), config, seed)
    item = np.concatenate([anchors["item"].to_numpy()[:, None], negatives], axis=1).astype(np.int32)
    all_labels = np.zeros((n, width, len(heads)), np.float32)
    all_labels[:, 0] = labels
    mask = np.ones((n, width, len(heads)), np.bool_)
    mask[:, 0] = known
    mask[:, 1:] = is_free[:, :, None]
    probe = ProbeBatch(
        user=user,
        time_ms=events.numpy("time_ms")[at],
        at=at,
        item=item.ravel(),
        request_of=np.repeat(np.arange(n, dtype=np.int32), width),
    )
    rows = n * width
    return SampleBatch(
        probe, all_labels.reshape(rows, len(heads)), mask.reshape(rows, len(heads)), np.ones(rows, np.float32), heads
    )


def draw(
    user: Rows, frame: pl.DataFrame, n_items: int, config: SamplesConfig, seed: int
) -> tuple[Rows, NDArray[np.bool_]]:
    """Negatives int32[n, k] for each user row, and bool[n, k]: False where every draw was an item the user touched."""
    random = rng(seed, "negatives")
    touched = np.unique(frame["user"].to_numpy().astype(np.int64) * n_items + frame["item"].to_numpy())
    count = np.bincount(frame["item"].to_numpy(), minlength=n_items).astype(np.float64)
    count[0] = 0
    cumulative = np.cumsum(count**0.75)
    shape = (len(user), config.n_negatives)
    if n_items < 2:
        return np.zeros(shape, np.int32), np.zeros(shape, np.bool_)

    def once(m: int) -> Rows:
        popular = np.searchsorted(cumulative, random.random(m) * cumulative[-1], "right")
        uniform = random.integers(1, n_items, m)
        return np.where(random.random(m) < config.popular_share, popular, uniform).astype(np.int32)

    item = once(user.size * config.n_negatives).reshape(shape)
    owner = np.repeat(user.astype(np.int64), config.n_negatives).reshape(shape)
    for _ in range(10):
        taken = _contains(touched, owner * n_items + item)
        if not taken.any():
            break
        item[taken] = once(int(taken.sum()))
    return item, ~_contains(touched, owner * n_items + item)


def _contains(ascending: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[at] == values, np.bool_)
